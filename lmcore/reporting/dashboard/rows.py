"""Versions and runs as rows of text, with the addresses of their pages.

Everything that comes from a registry may have been edited by anybody, so texts have a length.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from lmcore.reporting.dashboard.decisions import REASON_CHARACTERS
from lmcore.reporting.dashboard.facts import (
    ModelHistory,
    PipelineData,
    RunEntry,
    RunningJob,
    VersionEntry,
)
from lmcore.reporting.dashboard.moments import moment
from lmcore.reporting.dashboard.sections import OUTCOME_KINDS, documents
from lmcore.reporting.text import duration, one_line, size

_RUN_STATES = {
    "FINISHED": ("finished", "pass"),
    "FAILED": ("failed", "fail"),
    "KILLED": ("stopped", "warn"),
    "RUNNING": ("not ended", "idle"),
}


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """One version as text."""

    number: int
    link: str
    created: str
    outcome: str
    kind: str
    aliases: str
    begun_with: str
    value: str
    interval: str
    documents: str
    size: str
    took: str
    cores: str
    cost: str
    verdict: str
    report: str


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run as text, with the addresses of its pages, empty where there is no server."""

    name: str
    state: str
    kind: str
    started: str
    took: str
    outcome: str
    mlflow: str
    prefect: str


def version_row(version: VersionEntry, history: ModelHistory, page: PipelineData) -> VersionRow:
    """One version; whatever is not recorded is empty."""
    known, volume = version.metrics.get(history.deciding), version.documents
    total, cores, price = version.seconds.get("total"), version.core_seconds, page.price_per_hour
    aliases = [one_line(alias, 40) for alias in version.aliases]
    if version.quarantined is not None:
        aliases.append("quarantined")
    why = f"Quarantined: {version.quarantined}. " if version.quarantined else ""
    return VersionRow(
        number=version.number,
        link=mlflow_link(page, "models", history.model, "versions", str(version.number)),
        created=moment(version.created),
        outcome=one_line(version.outcome, 40),
        kind=OUTCOME_KINDS.get(version.outcome, "idle"),
        aliases=", ".join(aliases),
        begun_with=one_line(version.begun_with, 60),
        value=known.shown if known else "",
        interval=known.bounds if known else "",
        documents=documents(volume.documents) if volume.documents is not None else "",
        size=size(volume.num_bytes) if volume.num_bytes is not None else "",
        took=duration(total) if total is not None else "",
        cores=duration(cores) if cores is not None else "",
        cost=money(total, price) if total is not None and price is not None else "",
        verdict=one_line(why + version.verdict, REASON_CHARACTERS),
        report=version.report,
    )


@dataclass(frozen=True, kw_only=True)
class RunningRow:
    """What runs now, as text."""

    name: str
    sentence: str
    percent: float | None
    began: str
    prefect: str


def running_row(job: RunningJob, page: PipelineData) -> RunningRow:
    """One job that runs now."""
    return RunningRow(
        name=one_line(" ".join(part for part in (job.job, job.model) if part), 120),
        sentence=one_line(job.sentence, 240),
        percent=None if job.percent is None else min(100.0, max(0.0, job.percent)),
        began=moment(job.began) if job.began else "",
        prefect=_prefect_link(page, job.prefect_flow_run_id or ""),
    )


def run_row(run: RunEntry, page: PipelineData) -> RunRow:
    """One run, whether or not it made a version."""
    state, kind = _RUN_STATES.get(run.state, (one_line(run.state, 40).lower(), "idle"))
    version = f"version {one_line(run.version, 20)}" if run.version else ""
    took = (run.ended - run.started).total_seconds() if run.ended else None
    return RunRow(
        name=one_line(run.name, 80),
        state=state,
        kind=kind,
        started=moment(run.started),
        took=duration(took) if took is not None else "",
        outcome=", ".join(part for part in (one_line(run.outcome, 40), version) if part),
        mlflow=mlflow_link(page, "experiments", run.experiment_id, "runs", run.run_id),
        prefect=_prefect_link(page, run.flow_run_id),
    )


def money(seconds: float, price_per_hour: float) -> str:
    """What so much time of the machine costs."""
    return f"{seconds / 3600 * price_per_hour:,.2f}"


def mlflow_link(page: PipelineData, *parts: str) -> str:
    """Address of a page of MLflow; empty where there is no server."""
    return f"{page.mlflow_url}/#/{_path(*parts)}" if page.mlflow_url else ""


def _prefect_link(page: PipelineData, flow_run_id: str) -> str:
    if not page.prefect_url or not flow_run_id:
        return ""
    return f"{page.prefect_url}/{_path('runs', 'flow-run', flow_run_id)}"


def _path(*parts: str) -> str:
    # Half of a surrogate pair, which JSON can hold, has no percent encoding.
    return "/".join(quote(part.encode("utf-8", "replace"), safe="") for part in parts)
