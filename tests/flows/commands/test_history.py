import contextlib
import getpass
import sqlite3
from typing import Any

from filelock import FileLock

from flows.home.environment import Home
from flows.home.registry_database import keep, ready
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
    (line,) = empty_shell.lines("history")
    assert line.startswith(f"There is no model in {empty_shell.home.root} yet: `lmcore run` makes")


def test_what_was_damaged_is_put_back_and_told(shell: Any) -> None:
    """The worst that a disk can do at once: the registry, and the weights that are in use."""
    shell.answer("versions")
    keep(shell.home)
    before = shell.answer("history")["events"]
    (weights,) = shell.home.mlflow_artifacts.glob(
        f"models/{champion(shell.home)}/artifacts/data/version/model/model.safetensors"
    )
    for path in (weights, shell.home.mlflow_database):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    with FileLock(shell.home.locks / "mlflow-start.lock"):
        ready(shell.home)  # as the next process does
    shell.answer("generate", "--prompt", "A", "--max-tokens", "2")
    events = shell.answer("history")["events"]
    assert [event for event in events if event["action"] != "mend"] == before
    database, version = (event["reason"] for event in events if event["action"] == "mend")
    assert "what was last written to it is in its place again" in database
    assert "put back from what the home holds" in version


def champion(home: Home) -> str:
    """The folder of the version in use."""
    with contextlib.closing(sqlite3.connect(home.mlflow_database)) as database:
        ((source,),) = database.execute(
            "SELECT source FROM model_versions JOIN registered_model_aliases USING (name, version)"
            " WHERE alias = 'champion'"
        ).fetchall()
    return str(source).removeprefix("models:/")
