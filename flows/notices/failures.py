"""Tell people that a run of the pipeline failed or crashed.

A run that fails says so itself, by a hook.  One that was killed cannot: there the server notices
(flows/servers/automations.py) and starts `report_crash` in a process of its own.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State

from flows.notices.webhook import notify


def announce_failure(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Hook of the pipeline for the state Failed."""
    _announce(flow_run, state)


@flow(name="report-crash", flow_run_name="{flow_run_id}", persist_result=False)
def report_crash(flow_run_id: UUID) -> None:
    """Tell people that a flow run has crashed.

    Args:
        flow_run_id: The flow run.
    """
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(flow_run_id)
    _announce(flow_run, flow_run.state)


def _announce(flow_run: FlowRun, state: State[Any] | None) -> None:
    config = flow_run.parameters.get("config")
    model = config.get("name") if isinstance(config, dict) else getattr(config, "name", None)
    notify(
        "failed",
        model=str(model or flow_run.name),
        reason=(state.message if state else None) or "the run ended without a message",
        flow_run_id=str(flow_run.id),
    )
