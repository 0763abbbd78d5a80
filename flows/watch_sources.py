"""Look whether the sources of a model hold new text, as a light Prefect flow on a schedule.

In: the configuration.  Out: an event where there is new text that no run has read and none is
reading.  Bytes are hashed only where names, sizes or times of change differ from the last look, and
only when two looks agree, so a file that is still being copied is left alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.home.environment import Home, current
from flows.home.outage import await_prefect, heard_by_prefect
from flows.home.patience import gone
from flows.notices.events import emit_arrived
from flows.notices.signs_of_life import is_silent, runs_at_work
from lmcore.config import RunConfig
from lmcore.data.requests.parts import ASKED, FEEDBACK, expire, parts
from lmcore.data.sources.located import fingerprint_sources, glance_at_sources
from lmcore.durable import atomic_write
from lmcore.tasks.task import TASKS

logger = logging.getLogger(__name__)

_MONITOR = "flows.monitor_drift"
Finding = Literal["unchanged", "changing", "known", "busy", "arrived"]
_MEANING: dict[Finding, str] = {
    "unchanged": "no file has changed since the last look",
    "changing": "files have changed; they are read when they have come to rest",
    "known": "the text is that of an earlier run",
    "busy": "the text has changed; a run is in progress, so it is looked at again afterwards",
    "arrived": "new text; a run is asked for",
}


@flow(name="watch", flow_run_name="{config.name}", persist_result=False)
def watch(config: RunConfig) -> Finding:
    """Ask for a run where the sources have changed, then look whether the champion drifts.

    Args:
        config: The pipeline's configuration.
    """
    home = current()
    with heard_by_prefect(home):
        await_prefect(home)
        finding = look(home, config, busy=_retraining(config.name))
        if finding != "arrived":
            look_at_use(home, config)
    state: State[Any] = Completed(
        name=finding.capitalize(), message=_MEANING[finding], data=finding
    )
    return state  # type: ignore[return-value]


def look(home: Home, config: RunConfig, *, busy: bool) -> Finding:
    """Compare the sources with what was seen last, and emit the event where they are new.

    Args:
        home: A prepared home; it remembers what was seen.
        config: The pipeline's configuration.
        busy: Whether a run of the model is in progress.
    """
    memory = home.up / "watch" / f"{config.name}.json"
    seen = _read(memory)
    glance = glance_at_sources(config.sources)
    if seen.get("glance") == glance:
        return "unchanged"
    if seen.get("pending") != glance:
        _write(memory, {**seen, "pending": glance})
        return "changing"
    found = fingerprint_sources(config.sources)
    new = found.digest != seen.get("asked_for")
    if new and not _trained_on(home, config, found.digest):
        if busy:
            return "busy"
        _monitor(home, config)
        emit_arrived(
            config.name, {"fingerprint": found.digest, "files": found.files, "bytes": found.bytes}
        )
        _write(memory, {"glance": glance, "asked_for": found.digest})
        return "arrived"
    _write(memory, {**seen, "glance": glance, "pending": None})
    return "known"


def look_at_use(home: Home, config: RunConfig) -> bool:
    """Once a day, see whether what is asked has moved away; returns whether that was looked at.

    Args:
        home: A prepared home; it remembers when that was.
        config: The pipeline's configuration.
    """
    if not config.serve.records:
        return False
    folders = [home.requests / config.name / kind for kind in (ASKED, FEEDBACK)]
    for folder in folders:
        expire(folder, keep_days=config.serve.keep_days)
    newest = [path.name for folder in folders for path in parts(folder)[-1:]]
    memory = home.up / "watch" / f"{config.name}.use.json"
    seen, today = _read(memory), datetime.now(UTC).date().isoformat()
    if not newest or seen.get("day") == today or seen.get("newest") == newest:
        return False
    _write(memory, {"day": today, "newest": newest})
    _monitor(home, config)
    return True


def _trained_on(home: Home, config: RunConfig, sources: str) -> bool:
    """Whether a finished run has read this very text."""
    from flows.registry.models import Registry
    from flows.registry.removals import current_removals
    from flows.steps.run_key import data_digest

    registry = Registry(home)
    data = data_digest(sources, current_removals(registry).for_model(config.name))
    return any(v.fingerprints.get("data") == data for v in registry.versions(config.name))


def _monitor(home: Home, config: RunConfig) -> None:
    """Measure whether the champion drifts; retraining does not depend on it."""
    from flows.registry.models import Registry

    if not (TASKS[config.task].is_language_model or config.serve.records):
        return
    champion = Registry(home).aliases(config.name).get("champion")
    if champion is None or importlib.util.find_spec(_MONITOR) is None:
        return
    try:
        importlib.import_module(_MONITOR).monitor(config)
    except Exception:
        if gone() is not None:
            raise
        logger.warning("drift of %s was not measured", config.name, exc_info=True)


def _retraining(model: str) -> bool:
    """Whether a run of the model is waiting or in progress, however it was started.

    A state that a killed process has left behind is none.
    """
    with get_client(sync_client=True) as client:
        # A run that waits has not got its name yet.
        return any(
            not is_silent(client, run)
            for run in runs_at_work(client, ["retrain"])
            if (run.parameters.get("config") or {}).get("name") == model
        )


def _read(memory: Path) -> dict[str, Any]:
    try:
        value = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(memory: Path, value: dict[str, Any]) -> None:
    atomic_write(memory, json.dumps({k: v for k, v in value.items() if v is not None}))
