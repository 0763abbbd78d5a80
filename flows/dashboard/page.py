"""The dashboard: read the registry, draw the page, write it; rebuilt at the end of each run.

In: the registry of a home.  Out: one HTML file.  Everything comes from tags of versions and of the
model, so 500 versions are a few queries and no version's files are opened (which would verify
every hash).  Where servers are known by an http address, the page links to them.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flows.home.artifact_keys import artifact_key
from flows.home.environment import Home, current
from flows.registry.history import read_history
from flows.registry.last_run import last_run
from flows.registry.models import Registry
from flows.registry.monitor_results import monitor_results
from flows.registry.promotion import settle
from flows.registry.runs import recent_runs
from flows.registry.versions import Version
from lmcore.artifacts import atomic_write
from lmcore.errors import UserError
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


def write(out: Path | None, model: str | None) -> Answer:
    """Write the page; the answer of `lmcore dashboard`.

    Args:
        out: File; default `dashboard.html` in the home.
        model: The one model to show; default all.

    Raises:
        NotFoundError: If there is no such model.
        UserError: If the file cannot be written.
    """
    home = current()
    registry = Registry(home)
    names = [registry.choose_model(model)] if model is not None else registry.models()
    for name in names:
        settle(registry, name)
    path = home.resolve(out) if out is not None else home.dashboard
    page = build(home, models=names)
    try:
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
) -> str:
    """The page as HTML; changes nothing.

    Args:
        home: A prepared home.
        models: Names; default all.
        mlflow_url: Address of MLflow's pages; default that of the tracking server, if there is one.
        prefect_url: Address of Prefect's pages; default that of the user's server, if there is one.
    """
    return render_dashboard(
        gather(home, models=models, mlflow_url=mlflow_url, prefect_url=prefect_url)
    )


def gather(
    home: Home,
    *,
    models: list[str] | None = None,
    mlflow_url: str | None = None,
    prefect_url: str | None = None,
) -> PipelineData:
    """What the page and the measures are made from; arguments as of `build`."""
    registry = Registry(home)
    names = registry.models() if models is None else models
    return PipelineData(
        created=datetime.now(UTC),
        models=[_history(registry, name) for name in names],
        mlflow_url=_web(mlflow_url or home.tracking_uri),
        prefect_url=_web(prefect_url or (home.prefect_api_url or "").removesuffix("/api")),
        price_per_hour=_price(),
    )


def refresh(home: Home) -> None:
    """Rebuild page and measures after a run; whatever goes wrong is logged and fails nothing."""
    try:
        data = gather(home)
        atomic_write(home.dashboard, render_dashboard(data))
        home.measures.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(home.measures, exposition(data))
        if url := _web(os.environ.get(URL_VARIABLE, "")):
            from prefect.artifacts import create_link_artifact

            create_link_artifact(url, link_text="Models over time", key=artifact_key("dashboard"))
    except Exception as error:
        logger.warning("the dashboard was not rebuilt: %s: %s", type(error).__name__, error)


def _history(registry: Registry, name: str) -> ModelHistory:
    last = last_run(registry, name) or {}
    versions = registry.versions(name)
    task = last.get("task") or (versions[-1].task if versions else None)
    task = str(task or LANGUAGE_MODELLING.name)
    deciding = task_named(task).deciding
    schedule = last.get("schedule")
    return ModelHistory(
        model=name,
        task=task,
        deciding=deciding.name,
        higher_is_better=deciding.higher_is_better,
        schedule=str(schedule) if schedule else None,
        last_run=last,
        versions=[_version(version) for version in versions],
        events=[event.to_json() for event in read_history(registry, name).events],
        runs=recent_runs(registry.home, model=name, limit=_RUNS),
        drift=monitor_results(registry.home, name),
    )


def _version(version: Version) -> VersionEntry:
    cost = version.cost()
    return VersionEntry(
        number=version.number,
        created=version.created,
        outcome=version.outcome,
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
