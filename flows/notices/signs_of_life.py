"""When a flow run last said something: its last state, or an event of its own.

In: Prefect's server.  Out: a time.  A run sends a heartbeat every minute while it works
(flows/home/environment.py), so one that has said nothing for `SILENCE` has been killed, whatever
state it is in.
"""

from __future__ import annotations

from datetime import UTC, datetime

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events.filters import EventFilter, EventOccurredFilter, EventOrder, EventResourceFilter

from flows.notices.events import SILENCE

#: States that say that somebody works on the run.
AT_WORK = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
_PAGE = 200


def runs_at_work(client: SyncPrefectClient, flows: list[str]) -> list[FlowRun]:
    """Every run of some flows that is said to be in progress, however it was started.

    Args:
        client: Of the server.
        flows: Names of the flows.
    """
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=flows)),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=AT_WORK))
            ),
            limit=_PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < _PAGE:
            return found


def is_silent(client: SyncPrefectClient, run: FlowRun, *, since: datetime | None = None) -> bool:
    """Whether a run has said nothing for so long that it must have been killed.

    Args:
        client: Of the server.
        run: With its state.
        since: Silence before that does not count: nobody could be heard then.
    """
    earliest = datetime.now(UTC) - SILENCE
    if since is not None and since > earliest:
        return False
    if run.state is None or run.state.timestamp > earliest:
        return False
    heard = client.read_events(
        EventFilter(
            occurred=EventOccurredFilter(since=earliest),
            resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
            order=EventOrder.DESC,
        ),
        limit=1,
    )
    return not heard.events
