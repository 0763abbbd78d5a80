"""Deployments of Prefect: which flow runs when, with which configuration, started by what.

In: resolved configurations.  Out: deployments for the runner of `lmcore up`, or for a work pool of
the user's server.  `prefect.yaml` says the same of the default configuration, for `prefect deploy`.

A model has one run at a time: a second one is cancelled, whether a schedule, an event or a person
asks for it (and the pipeline's own lock holds for runs that are started without a deployment).

The module of the pipeline imports torch, which the process that only starts flow runs does not
need.  So deployments are made of flows with the same name and parameters and no body, and name the
real one as their entry point; a test holds both equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Cron, Interval
from prefect.types.entrypoint import EntrypointType

from flows.home.configurations import ConfigReference
from flows.notices.events import ARRIVED, DRIFTED, resource_id
from flows.steps.shard import Shard
from lmcore.config import RunConfig

RETRAIN = "retrain"
WATCH = "watch"
REPORT = "report-crash"
SHARD = "evaluate-shard"
ENTRYPOINTS = {
    RETRAIN: "flows.pipeline.retrain",
    WATCH: "flows.watch_sources.watch",
    REPORT: "flows.notices.failures.report_crash",
    SHARD: "flows.evaluate_shard.evaluate_shard",
}
_ONE_AT_A_TIME = ConcurrencyLimitConfig(
    limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
)


def _retrain(config: ConfigReference | RunConfig, force: bool = False) -> None:
    """Train, judge, register and, where every required gate passes, promote a model.

    Args:
        config: The pipeline's configuration, by its file or whole; Prefect shows it as a form.
        force: Train again although data, configuration and code are those of a finished run.
    """


def _watch(config: RunConfig) -> None:
    """Ask for a run where the sources have changed, then look whether the champion drifts.

    Args:
        config: The pipeline's configuration.
    """


def _report_crash(flow_run_id: UUID) -> None:
    """Tell people that a flow run has crashed.

    Args:
        flow_run_id: The flow run.
    """


def _evaluate_shard(config: RunConfig, shard: Shard) -> None:
    """Ask the models of an evaluation one share of what it asks them.

    Args:
        config: The configuration of the run that evaluates.
        shard: What to ask, and where it lies.
    """


def deployments(
    configs: Sequence[RunConfig], *, work_pool: str | None = None, stored: Path | None = None
) -> list[RunnerDeployment]:
    """Everything that these pipelines need: retraining, watching, and one that reports crashes.

    In a work pool other workers can also ask a share of an evaluation.

    Args:
        configs: With absolute paths.
        work_pool: Where flow runs are placed; None for a runner that serves them itself.
        stored: Folder in which each is the file `NAME.yaml`, on the machine of the runs: the form
            of a run asks for the file and what is to be changed. None: for the whole of it.
    """
    made = [_deployment(REPORT, _report_crash, "lmcore", work_pool)]
    if work_pool is not None:
        made.append(_deployment(SHARD, _evaluate_shard, "lmcore", work_pool))
    for config in configs:
        made.append(_retraining(config, work_pool, stored))
        if config.schedule is not None and config.schedule.watch_minutes is not None:
            made.append(_watching(config, config.schedule.watch_minutes, work_pool))
    return made


def _retraining(config: RunConfig, work_pool: str | None, stored: Path | None) -> RunnerDeployment:
    schedule = config.schedule
    given: ConfigReference | RunConfig = config
    if stored is not None:
        given = ConfigReference(name=config.name, path=str(stored / f"{config.name}.yaml"))
    return _deployment(
        RETRAIN,
        _retrain,
        config.name,
        work_pool,
        parameters={"config": given.model_dump(mode="json"), "force": False},
        schedule=Cron(schedule.cron, timezone=schedule.timezone, slug="cron") if schedule else None,
        concurrency_limit=_ONE_AT_A_TIME,
        triggers=[retrain_trigger(config.name)],
        description=f"Retrains {config.name}: on its schedule, on new text and on drift.",
    )


def _watching(config: RunConfig, minutes: int, work_pool: str | None) -> RunnerDeployment:
    return _deployment(
        WATCH,
        _watch,
        config.name,
        work_pool,
        parameters={"config": config.model_dump(mode="json")},
        schedule=Interval(timedelta(minutes=minutes), slug="watch"),
        concurrency_limit=_ONE_AT_A_TIME,
        description=f"Looks whether the sources of {config.name} hold new text.",
    )


def retrain_trigger(model: str) -> DeploymentEventTrigger:
    """New text, or drift, starts a run of the model."""
    return DeploymentEventTrigger(
        name=f"lmcore: retrain {model} on new text or drift",
        expect={ARRIVED, DRIFTED},
        match={"prefect.resource.id": resource_id(model)},
        # New text is often drift as well, and the server may handle an event twice: one run.
        within=timedelta(seconds=30),
    )


def _deployment(
    flow: str,
    function: object,
    name: str,
    work_pool: str | None,
    **settings: object,
) -> RunnerDeployment:
    stand_in: Flow[..., None] = Flow(function, name=flow)  # type: ignore[arg-type]
    deployment = stand_in.to_deployment(
        name,
        tags=["lmcore"],
        work_pool_name=work_pool,
        entrypoint_type=EntrypointType.MODULE_PATH,
        # The server's check of defaults takes our field `required` for JSON Schema's keyword and
        # refuses it. The form is made of the same schema, and the flow checks what it gets.
        enforce_parameter_schema=False,
        **settings,  # type: ignore[arg-type]
    )
    assert isinstance(deployment, RunnerDeployment)
    deployment.entrypoint = ENTRYPOINTS[flow]
    return deployment
