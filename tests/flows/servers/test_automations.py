from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from prefect.events.schemas.automations import AutomationCore

from flows.monitor_drift import monitor
from flows.pipeline import retrain
from flows.servers.automations import crashes, ensure, ensure_all, stranded, zombies
from flows.timeline import timeline
from flows.watch_sources import watch


class Server:
    """Keeps automations as Prefect's server does; its answers have identifiers of their own."""

    def __init__(self) -> None:
        self.kept: dict[UUID, AutomationCore] = {}
        self.asked: list[str] = []

    def read_automations_by_name(self, name: str) -> list[Any]:
        return [Answer.of(i, a) for i, a in self.kept.items() if a.name == name]

    def create_automation(self, automation: AutomationCore) -> UUID:
        self.asked.append("create")
        self.kept[identity := uuid4()] = automation
        return identity

    def update_automation(self, identity: UUID, automation: AutomationCore) -> None:
        self.asked.append("update")
        self.kept[identity] = automation

    def delete_automation(self, identity: UUID) -> None:
        self.asked.append("delete")
        del self.kept[identity]


class Answer(AutomationCore):
    """An automation as the server sends it."""

    id: UUID

    @classmethod
    def of(cls, identity: UUID, automation: AutomationCore) -> "Answer":
        return cls.model_validate({**automation.model_dump(mode="json"), "id": identity})


def test_any_sign_of_life_saves_a_run() -> None:
    trigger = zombies().model_dump(mode="json")["trigger"]
    assert trigger["expect"] == ["prefect.flow-run.*"]
    # Prefect's own default between two heartbeats is 180 s.
    assert timedelta(seconds=trigger["within"]) >= timedelta(seconds=3 * 180)


def test_one_run_alone_can_be_watched() -> None:
    automation = zombies(silence=timedelta(seconds=10), runs="42", name="of one")
    values = automation.model_dump(mode="json")
    assert values["name"] == "of one"
    assert values["trigger"]["match"] == {"prefect.resource.id": "prefect.flow-run.42"}
    assert values["trigger"]["within"] == 10
    [action] = values["actions"]
    assert action["state"] == "CRASHED"
    assert action["message"] == "no heartbeat for 0:00:10: its process has been killed"


def test_a_run_that_never_began_is_watched_from_its_first_state() -> None:
    values = stranded(silence=timedelta(seconds=10), runs="42").model_dump(mode="json")
    trigger = values["trigger"]
    assert set(trigger["after"]) == {"prefect.flow-run.Pending", "prefect.flow-run.Running"}
    assert trigger["match"] == {"prefect.resource.id": "prefect.flow-run.42"}
    assert set(trigger["match_related"]["prefect.resource.name"]) == {
        flow.name for flow in (retrain, watch, monitor, timeline)
    }
    assert trigger["within"] == 10
    assert values["actions"][0]["state"] == "CRASHED"


def test_a_server_is_given_all_of_them_once() -> None:
    server: Any = Server()
    report = uuid4()
    for _ in range(2):
        ensure_all(server, report)
    assert server.asked == ["create"] * 3
    assert len({automation.name for automation in server.kept.values()}) == 3


def test_a_crash_of_the_pipeline_alone_is_reported_with_its_run() -> None:
    report = uuid4()
    values = crashes(report).model_dump(mode="json")
    assert values["trigger"]["expect"] == ["prefect.flow-run.Crashed"]
    assert values["trigger"]["match_related"]["prefect.resource.name"] == "retrain"
    [action] = values["actions"]
    assert action["deployment_id"] == str(report)
    assert "event.resource.id" in action["parameters"]["flow_run_id"]["template"]


def test_an_automation_is_written_once_and_again_only_where_it_differs() -> None:
    server: Any = Server()
    identity = ensure(server, zombies())
    # A second start makes the same automation, with sets in another order and a new trigger id.
    assert ensure(server, zombies()) == identity
    assert server.asked == ["create"]
    longer = zombies(silence=timedelta(minutes=20))
    assert ensure(server, longer) == identity
    assert server.asked == ["create", "update"]
    assert server.kept == {identity: longer}


def test_of_several_of_one_name_one_is_left() -> None:
    server: Any = Server()
    first = server.create_automation(zombies())
    server.create_automation(zombies())
    other = server.create_automation(crashes(uuid4()))
    assert ensure(server, zombies()) == first
    assert list(server.kept) == [first, other]
    assert server.asked == ["create"] * 3 + ["delete"]
