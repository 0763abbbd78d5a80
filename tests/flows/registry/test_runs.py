from collections.abc import Callable

from flows.home.environment import Home
from flows.registry.runs import list_runs
from flows.registry.tracking import TrackedRun, open_run


def begin(home: Home, run_key: str = "key") -> TrackedRun:
    return open_run(home, model="speeches", run_key=run_key, name="first")


def test_homes_do_not_share_runs(new_home: Callable[[str], Home]) -> None:
    one, two = new_home("one"), new_home("two")
    run = begin(one)
    assert [found.id for found in list_runs(one, model="speeches")] == [run.run_id]
    assert list_runs(two, model="speeches") == []
