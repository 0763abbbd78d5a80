from collections.abc import Callable

from flows.home.environment import Home
from flows.registry.connection import connect
from flows.registry.runs import list_runs, recent_runs, remove_run, tag_values
from flows.registry.tracking import TrackedRun, open_run


def begin(home: Home, run_key: str = "key") -> TrackedRun:
    return open_run(home, model="speeches", run_key=run_key, name="first")


def test_homes_do_not_share_runs(new_home: Callable[[str], Home]) -> None:
    one, two = new_home("one"), new_home("two")
    run = begin(one)
    assert [found.id for found in list_runs(one, model="speeches")] == [run.run_id]
    assert list_runs(two, model="speeches") == []


def test_runs_are_listed_oldest_first_with_what_they_use(home: Home) -> None:
    first = begin(home, "a")
    first.use_content("documents-1", "shards-1")
    first.log_text("x" * 100, "report.html")
    first.end("FINISHED")
    second = begin(home, "b")
    without_key = connect(home).create_run(second.experiment_id)
    found = list_runs(home, model="speeches")
    assert [run.id for run in found] == [first.run_id, second.run_id]
    assert without_key.info.run_id not in {run.id for run in found}
    assert [run.finished for run in found] == [True, False]
    assert [sorted(run.content) for run in found] == [["documents-1", "shards-1"], []]
    assert [run.num_bytes for run in found] == [100, 0]
    assert list_runs(home, model="nobody") == []


def test_a_removed_run_is_gone_with_its_files_and_may_be_removed_again(home: Home) -> None:
    gone, kept = begin(home, "a"), begin(home, "b")
    for run in (gone, kept):
        run.log_text("<p>", "report.html")
    for _ in range(2):
        remove_run(home, gone.run_id)
        assert [run.id for run in list_runs(home, model="speeches")] == [kept.run_id]
    [report] = home.mlflow_artifacts.rglob("report.html")
    assert kept.run_id in str(report)


def test_tags_are_read_of_finished_runs_alone(home: Home) -> None:
    for number, status in enumerate(("FINISHED", "FAILED", "FINISHED")):
        run = begin(home, f"k{number}")
        run.set_tags({"mark": f"run {number}"})
        run.end(status)
    begin(home, "going on").set_tags({"mark": "not yet"})
    begin(home, "without").end("FINISHED")
    assert tag_values(home, experiment_name="speeches", tag="mark") == ["run 0", "run 2"]
    assert tag_values(home, experiment_name="speeches", tag="other") == []
    assert tag_values(home, experiment_name="nobody", tag="mark") == []


def test_the_newest_runs_come_first_whatever_came_of_them(home: Home) -> None:
    runs = [begin(home, f"k{number}") for number in range(3)]
    runs[0].end("FAILED")
    found = recent_runs(home, model="speeches", limit=2)
    assert [run["run_id"] for run in found] == [runs[2].run_id, runs[1].run_id]
    oldest = recent_runs(home, model="speeches", limit=9)[-1]
    assert (oldest["name"], oldest["state"]) == ("first", "FAILED")
    assert oldest["ended"] >= oldest["started"] > 1_600_000_000_000
    assert oldest["tags"]["lmcore.run_key"] == "k0"
    assert recent_runs(home, model="nobody", limit=9) == []
