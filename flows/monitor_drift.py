"""`lmcore monitor`: has the text moved away from what the champion learnt?  A Prefect flow.

    sources -> documents -> those that the champion does not know -> scores -> drift
    requests that were kept -> scores beside beginnings of held-out documents -> drift
    feedback on a task's answers -> how often it is right in use -> drift

The documents are prepared by the steps of the pipeline, in the same content store, so the next
retraining finds them ready.  The answer goes into MLflow (`flows.registry.monitor_results`) and
onto the page of the flow run; drift is also an event, which can start a retraining.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed

from flows.home.artifact_keys import artifact_key
from flows.home.environment import current
from flows.home.folders import Home
from flows.home.locks import using_content
from flows.home.outage import await_prefect, heard_by_prefect
from flows.home.signals import still_polite
from flows.notices.events import emit_drift
from flows.progress.artifact import flow_run_id
from flows.registry.models import Registry
from flows.registry.monitor_results import log_monitoring
from flows.registry.removals import current_removals
from flows.registry.versions import Version
from flows.steps import tasks
from flows.steps.monitoring import Answer, InUse, answer_of, champion_to_monitor, monitor_key
from flows.steps.progress import job_shown, step_shown
from flows.steps.stopwatch import RunStopped
from lmcore.config import RunConfig
from lmcore.counted import counted
from lmcore.data.documents import DocumentSet
from lmcore.data.sources.located import SourceFingerprint
from lmcore.evaluation.drift.in_use import drift_of_requests, right_in_use
from lmcore.evaluation.drift.monitor import Watched, monitor_documents
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.tasks.task import TASKS

logger = logging.getLogger(__name__)

#: What is told of a task, which reads no documents here.
_NOTHING: Answer = {
    **dict.fromkeys(
        ("documents", "bits_per_byte", "tokens_per_byte", "unseen_words", "lengths", "requests")
    ),
    "unit": "bits/byte",
    "check": None,
}


@flow(name="monitor", flow_run_name="monitor {config.name}", persist_result=False)
def monitor(config: RunConfig) -> Answer:
    """Compare the champion on fresh documents with its own reference.

    Args:
        config: The pipeline's configuration; Prefect shows it as a form.

    Returns:
        The answer of `lmcore monitor --json`.

    Raises:
        NotFoundError: If there is no champion.
    """
    home = current()
    with heard_by_prefect(home):
        try:
            answer = _look(config, home)
        except RunStopped as stop:
            return Cancelled(message=f"{stop}.")  # type: ignore[return-value]
    state: State[Answer] = Completed(
        name=answer["outcome"].capitalize(), message=answer["reason"], data=answer
    )
    return state  # type: ignore[return-value]


def _look(config: RunConfig, home: Home) -> Answer:
    registry = Registry(home)
    champion = champion_to_monitor(registry, config.name)
    use = InUse.read(home.requests / config.name)
    removals = current_removals(registry).for_model(config.name)
    found: SourceFingerprint | None = None
    if TASKS[config.task].is_language_model:
        with (
            using_content(home.locks),
            still_polite(),
            job_shown("monitor", home, config.name) as job,
        ):
            job.expect(("fingerprint", "ingest", "measure"), {})
            with step_shown("fingerprint", config.name):
                found = tasks.fingerprint(config)
            with step_shown("ingest", config.name):
                documents = tasks.ingest(config, found=found, home=home, removals=removals)
            with step_shown("measure", config.name):
                measured = measure_drift(config, documents, champion, registry, use)
    else:
        measured = {**_NOTHING, "limit": config.monitor.max_increase_bits_per_byte}
    right = right_in_use(use.feedback, _accuracy(champion), limits=config.monitor)
    answer = answer_of(
        config,
        champion,
        measured,
        right=right.to_json(),
        told=bool(use.feedback),
        flow_run_id=flow_run_id(),
    )
    key = monitor_key(config, champion, use, sources=found, removals=removals)
    return _keep(answer, home, key=key)


def _measure_drift(
    config: RunConfig, documents: DocumentSet, champion: Version, registry: Registry, use: InUse
) -> dict[str, Any]:
    """Score what is fresh, and what is asked, with the champion; its files are verified before."""
    folder = registry.open(champion)
    watched = Watched(
        model=folder.load_model(),
        tokenizer=folder.load_tokenizer(),
        rows=list(folder.documents()),
        reference=ScoreTable.from_parquet(folder.evaluation / "scores-validation.parquet"),
    )
    found = monitor_documents(documents, watched, limits=config.monitor, seed=config.training.seed)
    logger.info(
        "monitor: %s of %s, %s",
        counted(len(found.arrivals.fresh), "fresh document"),
        f"{documents.summary['documents']:,}",
        found.drift.outcome,
    )
    asked = None
    if use.asked:
        held = {str(identity) for identity in watched.reference.id}
        asked = drift_of_requests(
            watched.model,
            watched.tokenizer,
            use.asked,
            [d.text for d in documents.iter_documents() if d.id in held],
            limits=config.monitor,
            seed=config.training.seed,
        )
    return {**found.to_json(), "requests": None if asked is None else asked.to_json()}


measure_drift = tasks.Step(
    task(
        name="measure-drift",
        task_run_name="measure drift of {config.name}",
        cache_policy=NO_CACHE,
        timeout_seconds=6 * 3600,
    )(tasks.left_at_once(_measure_drift, "measure-drift"))
)


def _accuracy(champion: Version) -> Interval | None:
    """Of a classifier on its held-out documents."""
    stored = champion.metrics.get("accuracy")
    if not isinstance(stored, Mapping) or stored.get("lower") is None:
        return None
    value, lower, upper = (float(stored[key]) for key in ("value", "lower", "upper"))
    return Interval(value=value, lower=lower, upper=upper, n=int(stored.get("n") or 0))


def _keep(answer: Answer, home: Home, *, key: str) -> Answer:
    """Into MLflow, onto the flow run's page, and, where it is drift, to whoever listens."""
    answer = {**answer, "mlflow_run_id": log_monitoring(home, answer, key=key)}
    await_prefect(home)
    create_markdown_artifact(
        drift_markdown(answer),
        key=artifact_key("drift", answer["model"]),
        description=answer["reason"],
    )
    if answer["outcome"] == "DRIFTED":
        emit_drift(
            answer["model"],
            {
                "version": answer["champion"],
                "reason": answer["reason"],
                "difference": (answer["bits_per_byte"] or {}).get("difference"),
                "limit": answer["limit"],
                "fresh_documents": (answer["documents"] or {}).get("fresh", 0),
                "as_of": answer["as_of"],
            },
        )
    return answer


def drift_markdown(answer: Mapping[str, Any]) -> str:
    """The answer as a small table."""
    rows = ["| | fresh | reference | difference |", "|---|---|---|---|"]
    for name, label in (
        ("bits_per_byte", "bits per byte"),
        ("tokens_per_byte", "tokens per byte"),
        ("unseen_words", "unseen words, share of bytes"),
    ):
        if (compared := answer[name]) is not None:
            cells = (
                f"{compared[side]['value']:.4f} ({compared[side]['lower']:.4f} to"
                f" {compared[side]['upper']:.4f})"
                for side in ("fresh", "reference", "difference")
            )
            rows.append(f"| {label} | {' | '.join(cells)} |")
    for name in ("requests", "feedback"):
        if (found := answer.get(name)) is not None:
            rows.append(f"\n{name}: **{found['outcome']}** {found['reason']}")
    return f"**{answer['outcome']}** {answer['reason']}\n\n" + "\n".join(rows) + "\n"
