"""What happens to a model's data, as events of Prefect that can start a retraining.

An event names its model by the resource `lmcore.model.NAME`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger(__name__)

ARRIVED = "lmcore.data.arrived"
DRIFTED = "lmcore.data.drifted"


def emit_arrived(model: str, payload: Mapping[str, Any]) -> None:
    """Say that the sources of a model hold text that no run has seen."""
    _emit(ARRIVED, model, payload)


def emit_drift(model: str, payload: Mapping[str, Any]) -> None:
    """Say that a champion has become worse on fresh text."""
    _emit(DRIFTED, model, payload)


def _emit(event: str, model: str, payload: Mapping[str, Any]) -> None:
    from prefect.events import emit_event

    resource = {"prefect.resource.id": f"lmcore.model.{model}", "prefect.resource.name": model}
    emit_event(event=event, resource=resource, payload=dict(payload))
