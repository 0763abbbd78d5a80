"""What happens to a model's data, as events of Prefect that start retraining.

An event names its model by the resource `lmcore.model.NAME`.  Without `lmcore up`, or another
Prefect server with its deployments, an event is recorded and starts nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flows.notices.webhook import notify

logger = logging.getLogger(__name__)

ARRIVED = "lmcore.data.arrived"
DRIFTED = "lmcore.data.drifted"
#: How long a flow run may say nothing before it counts as killed.
SILENCE = timedelta(minutes=10)


def resource_id(model: str) -> str:
    """The resource that an event about a model names."""
    return f"lmcore.model.{model}"


def emit_arrived(model: str, payload: Mapping[str, Any]) -> None:
    """Say that the sources of a model hold text that no run has seen.

    Args:
        model: Registered model.
        payload: JSON values about the text: fingerprint, files, bytes.
    """
    logger.info("new text for %s: %s", model, dict(payload))
    _emit(ARRIVED, model, payload)


def emit_drift(model: str, payload: Mapping[str, Any]) -> None:
    """Say that a champion has become worse on fresh text; people are told too.

    Args:
        model: Registered model.
        payload: JSON values about the drift; `reason` is its sentence for people, `version` the
            champion.
    """
    reason = str(payload.get("reason") or "the champion is worse on fresh text")
    version = payload.get("version")
    notify(
        "drifted",
        model=model,
        reason=reason,
        version=version if isinstance(version, int) else None,
    )
    _emit(DRIFTED, model, payload)


def _emit(event: str, model: str, payload: Mapping[str, Any]) -> None:
    from prefect.events import emit_event

    resource = {"prefect.resource.id": resource_id(model), "prefect.resource.name": model}
    emit_event(event=event, resource=resource, payload=dict(payload))
