"""The dashboard: read the registry, draw the page, write it; rebuilt at the end of each run.

In: the registry of a home.  Out: one HTML file.  Everything comes from tags of versions and of the
model, so 500 versions are a few queries and no version's files are opened (which would verify
every hash).  Where servers are known by an http address, the page links to them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from flows.home.access import as_the_user
from flows.home.artifact_keys import artifact_key
from flows.home.environment import Home, current
from flows.home.schedules import next_in_words
from flows.progress.board import running
from flows.registry.history import read_history
from flows.registry.last_run import last_run
from flows.registry.models import Registry
from flows.registry.monitor_results import monitor_results
from flows.registry.promotion import settle
from flows.registry.runs import recent_runs
from flows.registry.versions import Version
from lmcore.durable import atomic_write
from lmcore.errors import NotFoundError, UserError
from lmcore.mlmodel import VERSION_PLACE
from lmcore.reporting.dashboard.facts import ModelHistory, PipelineData, VersionEntry
from lmcore.reporting.dashboard.measures import exposition
from lmcore.reporting.dashboard.page import render_dashboard
from lmcore.reporting.values import finite
from lmcore.tasks.task import LANGUAGE_MODELLING, task_named

logger = logging.getLogger(__name__)

Answer = dict[str, Any]
PRICE_VARIABLE = "LMCORE_PRICE_PER_HOUR"
URL_VARIABLE = "LMCORE_DASHBOARD_URL"
_RUNS = 10
#: Between two looks at a page that is served: while something runs, and while nothing does.
_REFRESH_SECONDS, _IDLE_REFRESH_SECONDS = 5, 60

ReportLink = Callable[[Version], str]


def write(out: Path | None, model: str | None) -> Answer:
    """Write the page; the answer of `lmcore dashboard`.

    Args:
        out: File; default `dashboard.html` in the home.
        model: The one model to show; default all.

    Raises:
        NotFoundError: If there is no such model, or no home to write the page in.
        UserError: If the file cannot be written.
    """
    home = current()
    if home.stands_for and out is None:
        raise NotFoundError(
            f"no model is registered in {home.place}, so no page is written there; make one with"
            " `lmcore run`."
        )
    registry = Registry(home)
    names = [registry.choose_model(model)] if model is not None else registry.models()
    for name in names:
        settle(registry, name)
    path = home.resolve(out) if out is not None else home.dashboard
    page = build(home, models=names, report=report_beside(home, path.parent))
    try:
        with contextlib.nullcontext() if out is None else as_the_user():
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(path, page)
    except OSError as error:
        raise UserError(f"--out {path}: cannot write there ({error.strerror or error}).") from error
    return {"path": str(path), "models": names, "bytes": path.stat().st_size}


def build(
    home: Home,
    *,
    models: list[str] | None = None,
    mlflow_url: str | None = None,
    prefect_url: str | None = None,
    report: ReportLink | None = None,
    live: bool = False,
) -> str:
    """The page as HTML; changes nothing.

    Args:
        home: A prepared home.
        models: Names; default all.
        mlflow_url: Address of MLflow's pages; default that of the tracking server, if there is one.
        prefect_url: Address of Prefect's pages; default that of the user's server, if there is one.
        report: Gives the address of a version's report; None: there are no links.
        live: The page is served, so it says what runs now and is asked for again.
    """
    return render_dashboard(
        gather(
            home,
            models=models,
            mlflow_url=mlflow_url,
            prefect_url=prefect_url,
            report=report,
            live=live,
        )
    )


def gather(
    home: Home,
    *,
    models: list[str] | None = None,
    mlflow_url: str | None = None,
    prefect_url: str | None = None,
    report: ReportLink | None = None,
    live: bool = False,
) -> PipelineData:
    """What the page and the measures are made from; arguments as of `build`."""
    registry = Registry(home)
    names = registry.models() if models is None else models
    jobs = running(home.running) if live else []
    seconds = (_REFRESH_SECONDS if jobs else _IDLE_REFRESH_SECONDS) if live else None
    return PipelineData(
        created=datetime.now(UTC),
        running=jobs,
        upcoming=_upcoming(home) if live else (),
        refresh_seconds=seconds,
        models=[_history(registry, name, report or (lambda _: "")) for name in names],
        mlflow_url=_web(mlflow_url or home.tracking_uri),
        prefect_url=_web(prefect_url or (home.prefect_api_url or "").removesuffix("/api")),
        price_per_hour=_price(),
    )


def refresh(home: Home) -> None:
    """Rebuild page and measures after a run; whatever goes wrong is logged and fails nothing."""
    try:
        data = gather(home, report=report_beside(home, home.dashboard.parent))
        atomic_write(home.dashboard, render_dashboard(data))
        home.measures.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(home.measures, exposition(data))
        if url := _web(os.environ.get(URL_VARIABLE, "")):
            from prefect.artifacts import create_link_artifact

            create_link_artifact(url, link_text="Models over time", key=artifact_key("dashboard"))
    except Exception as error:
        logger.warning("the dashboard was not rebuilt: %s: %s", type(error).__name__, error)


def report_beside(home: Home, folder: Path) -> ReportLink:
    """Addresses of reports for a page in a folder; empty for a version whose files lie elsewhere.

    Args:
        home: A prepared home.
        folder: Of the page.
    """

    def link(version: Version) -> str:
        identity = version.source.removeprefix("models:/")
        if not home.embedded or not re.fullmatch(r"[\w-]+", identity):
            return ""
        path = home.mlflow_artifacts / "models" / identity / "artifacts" / VERSION_PLACE
        if not (path / "report.html").exists():
            return ""
        return quote(os.path.relpath(path / "report.html", folder))

    return link


def _upcoming(home: Home) -> list[tuple[str, str]]:
    """When the schedules of `lmcore up` ask for a run next."""
    try:
        configs = json.loads((home.up / "configs.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    found = []
    for config in configs if isinstance(configs, list) else ():
        schedule = config.get("schedule") or {}
        words = f"{schedule.get('cron')} ({schedule.get('timezone')})"
        when = next_in_words(words, kept=home.planned_runs)
        if when:
            found.append((str(config.get("name")), when))
    return found


def _history(registry: Registry, name: str, report: ReportLink) -> ModelHistory:
    last = last_run(registry, name) or {}
    versions = registry.versions(name)
    task = last.get("task") or (versions[-1].task if versions else None)
    task = str(task or LANGUAGE_MODELLING.name)
    deciding = task_named(task).deciding
    schedule = last.get("schedule")
    events = read_history(registry, name).events
    overridden = {event.to_version for event in events if event.action == "override"}
    return ModelHistory(
        model=name,
        task=task,
        deciding=deciding.name,
        higher_is_better=deciding.higher_is_better,
        schedule=str(schedule) if schedule else None,
        next_run=next_in_words(schedule, kept=registry.home.planned_runs),
        last_run=last,
        versions=[_version(version, overridden, report(version)) for version in versions],
        events=[event.to_json() for event in events],
        runs=recent_runs(registry.home, model=name, limit=_RUNS),
        drift=monitor_results(registry.home, name),
    )


def _version(version: Version, overridden: AbstractSet[int | None], report: str) -> VersionEntry:
    cost = version.cost()
    by_override = version.outcome == "promoted" and version.number in overridden
    return VersionEntry(
        number=version.number,
        created=version.created,
        outcome="overridden" if by_override else version.outcome,
        report=report,
        verdict=version.verdict,
        begun_with=version.tags.get("pretrained") or version.tags.get("base") or "",
        aliases=version.aliases,
        quarantined=version.quarantined,
        metrics=version.metrics,
        gates=version.gates(),
        documents=version.data(),
        seconds=cost.get("seconds"),
        core_seconds=cost.get("core_seconds"),
        run_id=version.run_id,
        flow_run_id=version.flow_run_id,
    )


def _web(address: str) -> str | None:
    """An address that a reader may follow: http(s), and without a password that it may hold."""
    parts = urlsplit(address.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}".rstrip("/")


def _price() -> float | None:
    text = os.environ.get(PRICE_VARIABLE, "").strip()
    if not text:
        return None
    try:
        price = finite(float(text))
    except ValueError:
        price = None
    if price is None or price < 0:
        logger.warning("%s=%s is no price; costs are not shown", PRICE_VARIABLE, text[:40])
        return None
    return price
