"""What the last run of each model came to: one tag of the registered model, overwritten."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from flows.registry.models import Registry
from flows.registry.run_result import RunResult
from flows.registry.tag_values import read_object

_TAG = "lmcore.last_run"
_REASON_CHARACTERS = 2000


def remember_run(registry: Registry, result: RunResult, *, schedule: str | None) -> None:
    """Write what a run came to, and the schedule that its configuration asks for."""
    seconds = dict(result.seconds)
    if result.outcome == "skipped":  # which says nothing of how long a run takes
        seconds = (last_run(registry, result.model) or {}).get("seconds") or {}
    value = {
        "outcome": result.outcome,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reason": result.reason[:_REASON_CHARACTERS],
        "task": result.task,
        "schedule": schedule,
        "seconds": seconds,
    }
    registry.add_model_tag(result.model, _TAG, json.dumps(value, ensure_ascii=False))


def last_run(registry: Registry, model: str) -> dict[str, Any] | None:
    """What `remember_run` wrote last; None where nothing readable is there."""
    return read_object(registry.model_tags(model).get(_TAG))
