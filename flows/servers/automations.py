"""What Prefect's server does by itself: it notices runs that died, and has people told.

In: a client of the server.  Out: three automations, replaced only where they differ.

A flow run sends a heartbeat every minute (flows/home/environment.py).  One whose process was killed
together with its runner stays "Running" for ever, and holds the only place of its deployment; so a
run that says nothing for ten minutes is marked Crashed.  That is three heartbeats even at Prefect's
own default of 180 s, so a run that was started with other settings is not taken for dead.

A run whose process was killed before its first heartbeat, in Pending or just Running, has none to
miss; so the two states begin the same watch, of our own flows alone: another team's may wait in
Pending for a machine as long as it likes.  The place of such a run is free earlier, when its lease
of five minutes is not renewed (Prefect's own service).

What the server hears is tried four times on a busy SQLite file and then lost; the runs of which it
was settle by the look that the runner takes each minute (flows/servers/runner_process.py).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows.notices.events import SILENCE

HEARTBEAT = "prefect.flow-run.heartbeat"
#: As Prefect knows them: flows/pipeline.py, watch_sources.py, monitor_drift.py, timeline.py.
OUR_FLOWS = ["retrain", "watch", "monitor", "timeline"]


def zombies(
    *,
    silence: timedelta = SILENCE,
    runs: str = "*",
    name: str = "lmcore: mark silent runs as crashed",
) -> AutomationCore:
    """Mark flow runs as crashed whose heartbeats have stopped.

    Any event of the run counts as a sign of life: our runs end in states of their own names
    (Promoted, Rejected), which a list of Prefect's names would miss.

    Args:
        silence: How long a run may say nothing; longer than the time between its heartbeats.
        runs: Identifier of a flow run, or all.
        name: Of the automation.
    """
    return _crashing(
        {HEARTBEAT},
        silence=silence,
        runs=runs,
        name=name,
        description=f"A run that sends no heartbeat for {silence} has been killed.",
        message=f"no heartbeat for {silence}: its process has been killed",
    )


def stranded(
    *,
    silence: timedelta = SILENCE,
    runs: str = "*",
    name: str = "lmcore: mark runs as crashed that never began",
) -> AutomationCore:
    """Mark runs of our flows as crashed that are Pending, or Running, and say nothing more.

    Args:
        silence: How long a run may take from one state to the next, or to its first heartbeat.
        runs: Identifier of a flow run, or all.
        name: Of the automation.
    """
    return _crashing(
        {"prefect.flow-run.Pending", "prefect.flow-run.Running"},
        silence=silence,
        runs=runs,
        name=name,
        description=f"A run that says nothing for {silence} after it was taken has been killed.",
        message=f"nothing for {silence} after it was taken: its process has been killed",
        match_related={"prefect.resource.role": "flow", "prefect.resource.name": OUR_FLOWS},
    )


def _crashing(
    after: set[str],
    *,
    silence: timedelta,
    runs: str,
    name: str,
    description: str,
    message: str,
    **trigger: Any,
) -> AutomationCore:
    """Mark a flow run as crashed that says nothing so long after some event of its own."""
    return AutomationCore(
        name=name,
        description=description,
        trigger=EventTrigger(
            after=after,
            expect={"prefect.flow-run.*"},
            match={"prefect.resource.id": f"prefect.flow-run.{runs}"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=silence,
            **trigger,
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message),
        ],
    )


def ensure_all(client: SyncPrefectClient, report: UUID) -> None:
    """Have the server do all of it.

    Args:
        client: Of the server.
        report: The deployment that tells people of crashes.
    """
    for wanted in (zombies(), stranded(), crashes(report)):
        ensure(client, wanted)


def crashes(report: UUID) -> AutomationCore:
    """Have people told of a crashed run of the pipeline.

    Args:
        report: The deployment that tells them.
    """
    template = "{{ event.resource.id | replace('prefect.flow-run.', '') }}"
    return AutomationCore(
        name="lmcore: report crashed runs",
        description="Logs it and calls LMCORE_WEBHOOK.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Crashed"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": "retrain"},
            posture=Posture.Reactive,
            # The server may handle an event twice; once an hour and run is enough.
            for_each={"prefect.resource.id"},
            within=timedelta(hours=1),
        ),
        actions=[
            RunDeployment(
                deployment_id=report,
                parameters={"flow_run_id": {"__prefect_kind": "jinja", "template": template}},
            )
        ],
    )


def ensure(client: SyncPrefectClient, wanted: AutomationCore) -> UUID:
    """Create an automation, or update the one of its name where it differs."""
    found = client.read_automations_by_name(wanted.name)
    for extra in found[1:]:
        client.delete_automation(extra.id)
    if not found:
        return client.create_automation(wanted)
    if _told(found[0]) != _told(wanted):  # an update forgets which runs it is waiting for
        client.update_automation(found[0].id, wanted)
    return found[0].id


def _told(automation: AutomationCore) -> dict[str, Any]:
    values = automation.model_dump(mode="json")
    kept = {key: values[key] for key in ("name", "description", "enabled", "actions")}
    trigger = {k: v for k, v in values["trigger"].items() if k != "id"}
    for key in ("after", "expect", "for_each"):
        trigger[key] = sorted(trigger[key])
    return {**kept, "trigger": trigger}
