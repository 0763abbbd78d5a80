"""The pipeline: from sources of text to a promoted model version, or to the reason why not.

    sources -> documents -> token shards -> checkpoint -> evaluation -> version -> champion

The flow decides the order and nothing else: each step is a thin task over functions of
`lmcore`, exchanges small handles, and is skipped where its content folder exists.  So the
same command after a crash repeats no finished step, and a run with nothing new ends at once.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from filelock import FileLock, Timeout
from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Cancelled, Completed

from flows.dashboard.page import refresh
from flows.home.artifact_keys import artifact_key
from flows.home.environment import Home, current
from flows.home.locks import using_content
from flows.home.signals import still_polite, stop_requested
from flows.notices.failures import announce_failure
from flows.notices.webhook import notify
from flows.registry.last_run import remember_run
from flows.registry.models import Registry
from flows.registry.removals import current_removals
from flows.registry.run_result import RunResult
from flows.registry.tracking import TrackedRun, open_run
from flows.registry.versions import COST_TAG, Version, to_tag
from flows.steps.choose_start import champion_weights, choose_start
from flows.steps.evaluate_model import current_base, current_champion, evaluate, newest_unaided
from flows.steps.ingest_documents import fingerprint, ingest_documents
from flows.steps.promote_version import Decision, promote_version
from flows.steps.register_version import Candidate, register_version
from flows.steps.run_key import RunKey, data_digest, lock_digest, run_key
from flows.steps.tokenize_documents import tokenize_documents
from flows.steps.train_model import train_model, train_parts
from lmcore.artifacts import digest
from lmcore.config import RunConfig
from lmcore.data.copies.removal import Removals
from lmcore.data.ingest.ingest import SourceFingerprint
from lmcore.errors import UserError
from lmcore.reporting.version.summary import gate_rows, summary_markdown
from lmcore.tasks.base_model import BaseModel
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.trials.parts import PartModel

logger = logging.getLogger(__name__)


class RunStopped(KeyboardInterrupt):
    """The user asked to stop between two steps, or in one; everything done is saved."""


@dataclass
class Stopwatch:
    """Seconds by step, for the report and for `--json`."""

    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)
    cores_before: float = field(default_factory=lambda: sum(os.times()[:4]))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step; a stop that was asked for takes effect before the next one."""
        if stop_requested():
            raise RunStopped(f"stopped before the step {name}; finished steps are kept")
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 3)

    def total(self) -> dict[str, float]:
        """The steps and their total."""
        return {**self.seconds, "total": round(time.perf_counter() - self.started, 3)}

    def core_seconds(self) -> float:
        """Processor time of this process and of those that it waited for, until now."""
        return round(sum(os.times()[:4]) - self.cores_before, 3)


@flow(
    name="retrain",
    flow_run_name="{config.name}",
    persist_result=False,
    on_failure=[announce_failure],
)
def retrain(config: RunConfig, force: bool = False) -> RunResult:
    """Train, judge, register and, where every required gate passes, promote a model.

    Args:
        config: The pipeline's configuration; Prefect shows it as a form.
        force: Train again although data, configuration and code are those of a finished run.
    """
    home = current()
    guard = FileLock(home.locks / f"run-{config.name}.lock", timeout=0)
    try:
        with guard, still_polite(), using_content(home.locks):
            result = _Pipeline(config, home).run(force=force)
    except Timeout:
        result = RunResult(
            outcome="skipped",
            reason=f"another run of {config.name} is in progress; this one gives way",
            task=config.task,
            model=config.name,
            champion=Registry(home).aliases(config.name).get("champion"),
            prefect_flow_run_id=_flow_run_id(),
        )
    except RunStopped as stop:
        message = f"{stop}. Give the same command again to go on."
        return Cancelled(message=message)  # type: ignore[return-value]
    state: State[RunResult] = Completed(
        name=result.outcome.capitalize(), message=result.reason, data=result
    )
    return state  # type: ignore[return-value]


class _Pipeline:
    """One run: what its steps share."""

    def __init__(self, config: RunConfig, home: Home) -> None:
        self.config = config
        self.home = home
        self.registry = Registry(home)
        self.watch = Stopwatch()

    def run(self, *, force: bool) -> RunResult:
        config, watch = self.config, self.watch
        with watch.step("fingerprint"):
            self._check_task()
            found = fingerprint(config)
            everything = current_removals(self.registry)
            removals = everything.for_model(config.name)
            base = current_base(
                self.registry, config, everything.for_model(config.base or config.name)
            )
        data = data_digest(found.digest, removals)
        settings = config.fingerprint()
        key = run_key(
            data=data,
            # A new champion of the base model is a reason to train again.
            config=digest([settings, base.key]) if base else settings,
            start=champion_weights(config, self.registry),
        )
        earlier = self._finished(key)
        if earlier and force:
            key = replace(key, nonce=len(earlier))
        elif earlier:
            return self._nothing_new(key, earlier[-1])
        with open_run(
            self.home,
            model=config.name,
            run_key=key.digest,
            name=time.strftime(f"{config.name} %Y-%m-%d %H:%M"),
            tags=self._tags(key),
        ) as tracked:
            tracked.log_params(config.model_dump(mode="json"))
            version, decision, candidate = self._steps(key, found, removals, base, tracked)
            seconds = watch.total()
            tracked.log_metrics({f"seconds_{name}": s for name, s in seconds.items()})
            tracked.set_tags({"outcome": decision.outcome, "version": str(version.number)})
        cost = to_tag({"seconds": seconds, "core_seconds": watch.core_seconds()})
        self.registry.set_version_tag(config.name, version.number, COST_TAG, cost)
        self.registry.set_version_tag(config.name, version.number, "run_complete", "true")
        result = RunResult(
            outcome=decision.outcome,
            reason=decision.reason,
            task=config.task,
            model=config.name,
            version=version.number,
            champion=decision.champion,
            mlflow_run_id=tracked.run_id,
            prefect_flow_run_id=_flow_run_id(),
            metrics=version.metrics,
            gates=[
                {k: v for k, v in gate.to_json().items() if k != "evidence"}
                for gate in candidate.report.verdict().results
            ],
            fingerprints=candidate.fingerprints,
            seconds=seconds,
            report=str(self.registry.open(version).report),
        )
        self._remember(result)
        if result.outcome in ("promoted", "rejected"):
            notify(
                result.outcome,
                model=result.model,
                reason=result.reason,
                version=result.version,
                champion=result.champion,
                flow_run_id=result.prefect_flow_run_id,
            )
        return result

    def _check_task(self) -> None:
        """A registered name stands for one task for ever.

        Raises:
            UserError: If versions of this name were made for another one.
        """
        config = self.config
        others = {v.task for v in self.registry.versions(config.name)} - {config.task}
        if others:
            raise UserError(
                f"name={config.name!r} is a model for {others.pop()} already, not for"
                f" {config.task}; give this model a name of its own"
            )

    def _steps(
        self,
        key: RunKey,
        found: SourceFingerprint,
        removals: Removals,
        base: BaseModel | None,
        tracked: TrackedRun,
    ) -> tuple[Version, Decision, Candidate]:
        config, home, watch = self.config, self.home, self.watch
        with watch.step("ingest"):
            documents = ingest_documents(config, found, home, removals)
        tracked.use_content(documents.key)
        tracked.log_dataset(
            config.name,
            digest=key.data,
            source={"licenses": documents.summary["licenses"], "documents": documents.key},
            profile={
                k: v for k, v in documents.summary.items() if isinstance(v, int | float | str)
            },
        )
        start = choose_start(config, documents, self.registry)
        with watch.step("tokenize"):
            corpus = tokenize_documents(config, documents, home, start, base)
        tracked.use_content(corpus.tokenizer.key, corpus.shards.key)
        with watch.step("train"):
            trained = train_model(
                config,
                corpus,
                home,
                tracked,
                key.nonce,
                start,
                base,
                return_state=True,
            )
        if trained.is_cancelled():
            raise RunStopped(trained.message or "training stopped")
        checkpoint = trained.result()
        assert isinstance(checkpoint, Checkpoint)
        tracked.use_content(checkpoint.key)
        champion = current_champion(self.registry, config.name, removals)
        unaided = newest_unaided(self.registry, config, champion, removals)
        parts: list[PartModel] = []
        if config.gates.data_sufficiency.enabled and config.task == "language_modelling":
            with watch.step("train_parts"):
                smaller = train_parts(config, corpus, checkpoint, home, return_state=True)
            if smaller.is_cancelled():
                raise RunStopped(smaller.message or "training stopped")
            trained_parts = smaller.result()
            assert isinstance(trained_parts, list)
            parts = trained_parts
        with watch.step("evaluate"):
            report = evaluate(
                config,
                corpus,
                checkpoint,
                champion,
                home,
                parts,
                removals,
                base,
                unaided,
            )
        tracked.log_metrics({name: metric["value"] for name, metric in report.metrics().items()})
        candidate = Candidate(
            config=config,
            key=key,
            sources_digest=found.digest,
            removals=removals,
            corpus=corpus,
            start=start,
            checkpoint=checkpoint,
            report=report,
            champion=champion.version if champion else None,
            base=base,
            seconds=dict(watch.seconds),
        )
        with watch.step("register"):
            version = register_version(candidate, home, tracked, _flow_run_id())
        with watch.step("promote"):
            decision = promote_version(config, version, candidate.champion, home)
        self._publish(candidate, version, decision)
        return version, decision, candidate

    def _finished(self, key: RunKey) -> list[Version]:
        """Versions that finished runs of this key registered, forced repetitions included.

        A run that was killed after its promotion has done all that it was asked for.
        """
        return [
            version
            for version in self.registry.versions(self.config.name)
            if version.tags.get("run_base") == key.base
            and (version.tags.get("run_complete") or "champion" in version.aliases)
        ]

    def _nothing_new(self, key: RunKey, version: Version) -> RunResult:
        if not version.tags.get("run_complete"):
            self._complete(version)
        when = version.created.strftime("%Y-%m-%d %H:%M UTC")
        aliases = f", {' and '.join(version.aliases)}" if version.aliases else ""
        result = RunResult(
            outcome="skipped",
            reason=(
                f"nothing new: data, configuration and code are those of version {version.number}"
                f" ({version.outcome}{aliases}, {when}); --force trains again"
            ),
            task=self.config.task,
            model=self.config.name,
            champion=self.registry.aliases(self.config.name).get("champion"),
            prefect_flow_run_id=_flow_run_id(),
            fingerprints={**version.fingerprints, "weights": None},
            seconds=self.watch.total(),
        )
        self._remember(result)
        return result

    def _complete(self, version: Version) -> None:
        """What a run still had to do that was killed after its promotion."""
        with open_run(
            self.home, model=version.model, run_key=version.run_key, name=version.model
        ) as tracked:
            tracked.set_tags({"outcome": "promoted", "version": str(version.number)})
        self.registry.set_version_tag(version.model, version.number, "run_complete", "true")

    def _tags(self, key: RunKey) -> dict[str, str | None]:
        return {
            "data_fingerprint": key.data,
            "config_fingerprint": key.config,
            "code_digest": key.code,
            "libraries_digest": key.libraries,
            "lock_digest": lock_digest(),
            "prefect_flow_run_id": _flow_run_id(),
            "host_pid": str(os.getpid()),
        }

    def _remember(self, result: RunResult) -> None:
        schedule = self.config.schedule
        remember_run(
            self.registry,
            result,
            schedule=f"{schedule.cron} ({schedule.timezone})" if schedule else None,
        )
        refresh(self.home)

    def _publish(self, candidate: Candidate, version: Version, decision: Decision) -> None:
        """Gate table and summary on the flow run's page."""
        data = candidate.report_data(version=version.number, outcome=decision.outcome)
        name = self.config.name
        try:
            create_table_artifact(
                gate_rows(data), key=artifact_key("gates", name), description=decision.reason
            )
            create_markdown_artifact(
                summary_markdown(data), key=artifact_key("summary", name), description=name
            )
        except Exception as error:  # whatever the client raises; the decision stands without it
            logger.warning("Prefect does not show the gates of this run: %s", error)


def _flow_run_id() -> str | None:
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else None
