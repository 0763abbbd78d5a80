import getpass
from typing import Any

from flows.registry.history import Event, write_event
from flows.registry.models import Registry


def test_every_decision_is_listed_oldest_first(shell: Any) -> None:
    shell.answer("promote", "2", "--reason", "I like it", "--override")
    shell.answer("rollback", "--reason", "it swore")
    events = shell.answer("history", "--model", "speeches")["events"]
    assert [(e["action"], e["from"], e["to"]) for e in events] == [
        ("promote", None, 1),
        ("override", 1, 2),
        ("rollback", 2, 1),
    ]
    assert [e["reason"] for e in events] == ["first", "I like it", "it swore"]
    assert [e["who"] for e in events] == ["ada", getpass.getuser(), getpass.getuser()]
    assert [e["at"] for e in events] == sorted(e["at"] for e in events)
    header, first, *_, last = shell.lines("history")
    assert header.split() == ["at", "action", "model", "from", "to", "who", "reason"]
    assert first.split()[1:] == ["promote", "speeches", "-", "1", "ada", "first"]
    assert last.endswith("it swore")


def test_models_share_one_list_in_the_order_of_time(
    empty_shell: Any, register: Any, assemble_in: Any, tmp_path: Any
) -> None:
    register()
    register(assemble_in(tmp_path, "other", seed=1), name="tales", run_key="other")
    register(assemble_in(tmp_path, "third", seed=2), run_key="third")
    for name, number in (("speeches", "1"), ("tales", "1"), ("speeches", "2")):
        empty_shell.answer("promote", number, "--model", name, "--reason", "better")
    events = empty_shell.answer("history")["events"]
    assert [(e["model"], e["to"]) for e in events] == [
        *(("speeches", 1), ("tales", 1), ("speeches", 2))
    ]
    alone = empty_shell.answer("history", "--model", "tales")["events"]
    assert alone == [events[1]]


def test_a_clock_that_was_set_back_changes_no_order(shell: Any) -> None:
    registry = Registry(shell.home)
    for year in (2031, 2021, 2026):
        event = Event(
            **{"action": "forget", "model": "speeches", "from_version": None, "to_version": None},
            **{"who": "ada", "reason": str(year), "at": f"{year}-01-01T00:00:00+00:00"},
        )
        write_event(registry, event)
    reasons = [event["reason"] for event in shell.answer("history")["events"]]
    assert reasons == ["first", "2031", "2021", "2026"]


def test_nothing_has_happened_in_a_new_home(empty_shell: Any) -> None:
    assert empty_shell.answer("history") == {"events": []}
    assert empty_shell.lines("history") == ["Nothing has happened yet."]
