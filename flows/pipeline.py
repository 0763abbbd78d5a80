"""The pipeline: from sources of text to a promoted model version, or to the reason why not.

    sources -> documents -> corpus -> checkpoint -> evaluation -> version -> champion

The flow decides the order and nothing else: each step is a thin task over functions of
`lmcore`, exchanges small handles, and is skipped where its content folder exists.  So the
same command after a crash repeats no finished step, and a run with nothing new ends at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from filelock import FileLock, Timeout
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from flows.dashboard.page import refresh
from flows.home.configurations import ConfigReference, resolved
from flows.home.environment import Home, current
from flows.home.locks import using_content
from flows.home.outage import heard_by_prefect
from flows.home.schedules import described
from flows.home.signals import still_polite
from flows.home.traces import traced
from flows.notices.failures import announce_failure
from flows.notices.webhook import notify
from flows.progress.artifact import flow_run_id
from flows.registry.figures import with_bounds
from flows.registry.last_run import last_run, remember_run
from flows.registry.models import Registry
from flows.registry.run_result import Outcome, RunResult
from flows.registry.tracking import TrackedRun, open_run
from flows.registry.versions import COST_TAG, Version, to_tag
from flows.retention.rule import follow_retention
from flows.steps import tasks
from flows.steps.begin_run import begin_run, check_task, usable
from flows.steps.candidate import Candidate
from flows.steps.evaluation_inputs import current_champion, newest_unaided
from flows.steps.expected import expect_steps
from flows.steps.nothing_new import finished_versions, nothing_new
from flows.steps.progress import job_shown
from flows.steps.promote_version import Decision
from flows.steps.run import Run
from flows.steps.run_page import log_answer, show_gates, shown_gate
from flows.steps.stopwatch import RunStopped, Stopwatch
from lmcore.config import RunConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.corpus import Corpus
from lmcore.evaluation.inputs import Challenge
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.base import Base
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.trials.parts import PartModel


@flow(
    name="retrain",
    flow_run_name="{config.name}",
    persist_result=False,
    on_failure=[announce_failure],
)
def retrain(config: ConfigReference | RunConfig, force: bool = False) -> RunResult:
    """Train, judge, register and, where every required gate passes, promote a model.

    Args:
        config: The pipeline's configuration, by its file or whole; Prefect shows it as a form.
        force: Train again although data, configuration and code are those of a finished run.
    """
    home = current()
    config = resolved(config, home)
    with still_polite():
        return _retrained(_Pipeline(config, home), force=force)  # type: ignore[return-value]


def _retrained(pipeline: _Pipeline, *, force: bool) -> State[Any]:
    """The state that the flow run ends in."""
    config, home = pipeline.config, pipeline.home
    guard = FileLock(home.locks / f"run-{config.name}.lock", timeout=0)
    try:
        with (
            heard_by_prefect(home),
            guard,
            using_content(home.locks),
            job_shown("run", home, config.name),
            traced("retrain") as span,
        ):
            pipeline.watch.span = span
            result = pipeline.run(force=force)
            span.note(model=result.model, outcome=result.outcome)
    except Timeout:
        result = pipeline.result(
            "skipped",
            f"another run of {config.name} is in progress; this one gives way",
            champion=pipeline.champion(),
        )
    except RunStopped as stop:
        return Cancelled(message=f"{stop}.")
    else:
        follow_retention(pipeline.registry, config)
    return Completed(name=result.outcome.capitalize(), message=result.reason, data=result)


class _Pipeline:
    """One run: what its steps share."""

    def __init__(self, config: RunConfig, home: Home) -> None:
        self.config = config
        self.home = home
        self.registry = Registry(home)
        self.watch = Stopwatch(model=config.name)

    def run(self, *, force: bool) -> RunResult:
        """All of it, or nothing where a finished run has done the same."""
        check_task(self.config, self.registry)
        expect_steps(self.config, last_run(self.registry, self.config.name))
        pretrained = self._imported()
        with self.watch.step("fingerprint"):
            run = begin_run(
                self.config,
                home=self.home,
                sources=tasks.fingerprint(self.config),
                pretrained=pretrained,
            )
        earlier = finished_versions(self.registry, self.config.name, run.key)
        if earlier and not force and usable(self.registry, earlier):
            return self._nothing_new(earlier[-1])
        if earlier:
            run = replace(run, key=replace(run.key, nonce=len(earlier)))
        # A first run makes MLflow's database now, which takes seconds on a busy machine.
        self.watch.heed("after the step fingerprint")
        with open_run(
            self.home,
            model=self.config.name,
            run_key=run.key.digest,
            name=time.strftime(f"{self.config.name} %Y-%m-%d %H:%M"),
            tags={
                **run.key.tags(),
                "prefect_flow_run_id": flow_run_id(),
                "host_pid": str(os.getpid()),
            },
        ) as tracked:
            tracked.log_params(self.config.model_dump(mode="json"))
            candidate = self._candidate(run, tracked)
            version, decision = self._decided(candidate, tracked)
            seconds = self.watch.total()
            tracked.log_metrics({f"seconds_{name}": s for name, s in seconds.items()})
            tracked.set_tags({"outcome": decision.outcome, "version": str(version.number)})
        cost = to_tag({"seconds": seconds, "core_seconds": self.watch.core_seconds()})
        self._tag(version, COST_TAG, cost)
        self._tag(version, "run_complete", "true")
        result = self.result(
            decision.outcome,
            decision.reason,
            version=version.number,
            champion=decision.champion,
            mlflow_run_id=tracked.run_id,
            metrics=version.metrics,
            gates=[shown_gate(gate.to_json()) for gate in candidate.report.verdict().results],
            fingerprints=candidate.fingerprints,
            seconds=seconds,
            report=str(self.registry.read(version, whole=False).report),
        )
        self._remember(result)
        log_answer(result)
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

    def _imported(self) -> Base | None:
        """The model that the pipeline begins with; None where that is random weights."""
        if not isinstance(self.config.model, PretrainedConfig):
            return None
        with self.watch.step("import"):
            return tasks.import_pretrained(self.config, home=self.home)

    def _candidate(self, run: Run, tracked: TrackedRun) -> Candidate:
        """From sources to a judged model."""
        config, watch = run.config, self.watch
        with watch.step("ingest"):
            documents = tasks.ingest(
                config, found=run.sources, home=run.home, removals=run.removals
            )
        tracked.use_content(documents.key, *([run.pretrained.key] if run.pretrained else []))
        _log_dataset(tracked, run, documents)
        start = tasks.start(
            config, documents=documents, registry=self.registry, pretrained=run.pretrained
        )
        with watch.step("tokenize"):
            corpus = tasks.tokenize(
                config, documents=documents, home=run.home, start=start, base=run.base
            )
        tracked.use_content(corpus.tokenizer.key, corpus.shards.key)
        with watch.step("train"):
            checkpoint = tasks.train(run, corpus=corpus, start=start, tracked=tracked)
        tracked.use_content(checkpoint.key)
        champion = current_champion(self.registry, config.name, run.removals)
        challenge = Challenge(
            checkpoint=checkpoint,
            champion=champion,
            parts=self._parts(run, corpus, checkpoint),
            unaided=newest_unaided(self.registry, config, champion, run.removals),
        )
        with watch.step("evaluate"):
            report = tasks.evaluate(run, corpus=corpus, challenge=challenge)
        tracked.log_metrics(with_bounds(report.metrics()))
        return Candidate(
            run=run,
            corpus=corpus,
            start=start,
            checkpoint=checkpoint,
            report=report,
            champion=champion.version if champion else None,
            seconds=dict(watch.seconds),
        )

    def _parts(self, run: Run, corpus: Corpus, whole: Checkpoint) -> list[PartModel]:
        """Models of parts of the text, where the advice on more data is wanted."""
        config = run.config
        if not config.gates.data_sufficiency.enabled or not run.task.is_language_model:
            return []
        with self.watch.step("train_parts"):
            return tasks.train_parts(run, corpus=corpus, whole=whole)

    def _decided(self, candidate: Candidate, tracked: TrackedRun) -> tuple[Version, Decision]:
        """A version of the candidate, and what became of it."""
        with self.watch.step("register"):
            version = tasks.register(candidate, tracked=tracked, flow_run_id=flow_run_id())
        with self.watch.step("promote"):
            decision = tasks.promote(
                candidate.run, version=version, judged_against=candidate.champion
            )
        show_gates(candidate, version, decision)
        return version, decision

    def _nothing_new(self, version: Version) -> RunResult:
        if not version.tags.get("run_complete"):
            self._complete(version)
        result = nothing_new(
            self.registry, self.config, version, watch=self.watch, flow_run_id=flow_run_id()
        )
        self._remember(result)
        return result

    def _complete(self, version: Version) -> None:
        """What a run still had to do that was killed after its promotion."""
        with open_run(
            self.home, model=version.model, run_key=version.run_key, name=version.model
        ) as tracked:
            tracked.set_tags({"outcome": "promoted", "version": str(version.number)})
        self._tag(version, "run_complete", "true")

    def _tag(self, version: Version, name: str, value: str) -> None:
        self.registry.set_version_tag(version.model, version.number, name, value)

    def champion(self) -> int | None:
        """The version in use."""
        return self.registry.aliases(self.config.name).get("champion")

    def result(self, outcome: Outcome, reason: str, **facts: Any) -> RunResult:
        """The answer of this run; `facts` are further fields of it."""
        return RunResult(
            outcome=outcome,
            reason=reason,
            task=self.config.task,
            model=self.config.name,
            prefect_flow_run_id=flow_run_id(),
            **facts,
        )

    def _remember(self, result: RunResult) -> None:
        remember_run(self.registry, result, schedule=described(self.config))
        refresh(self.home)


def _log_dataset(tracked: TrackedRun, run: Run, documents: DocumentSet) -> None:
    summary: Mapping[str, Any] = documents.summary
    tracked.log_dataset(
        run.config.name,
        digest=run.key.data,
        source={"licenses": summary["licenses"], "documents": documents.key},
        profile={k: v for k, v in summary.items() if isinstance(v, int | float | str)},
    )
