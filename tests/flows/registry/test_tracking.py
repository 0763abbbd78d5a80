import threading

import pytest
from mlflow.exceptions import MlflowException

from flows.home.environment import Home
from flows.registry.connection import TrackingError, connect
from flows.registry.tracking import TrackedRun, open_run


def begin(home: Home, run_key: str = "key") -> TrackedRun:
    return open_run(home, model="speeches", run_key=run_key, name="first", tags={"code": "abc"})


def curve(home: Home, run: TrackedRun, name: str = "loss") -> list[tuple[int, float]]:
    history = connect(home).get_metric_history(run.run_id, name)
    return [(metric.step, metric.value) for metric in history]


def test_a_metric_is_there_while_the_run_goes(home: Home) -> None:
    run = begin(home)
    run.log_metrics({"loss": 2.5, "lr": 0.1}, step=10)
    info = connect(home).get_run(run.run_id)
    assert info.data.metrics == {"loss": 2.5, "lr": 0.1}
    assert info.info.status == "RUNNING"
    assert info.info.artifact_uri.startswith(home.mlflow_artifacts.as_uri())
    assert info.data.tags["code"] == "abc"
    assert connect(home).get_experiment(run.experiment_id).name == "speeches"


def test_a_killed_run_goes_on_and_no_step_is_logged_twice(home: Home) -> None:
    first = begin(home)
    for step in (1, 2, 3):
        first.log_metrics({"loss": float(step)}, step=step)
    # Killed here: nothing ended the run. Training goes on from the checkpoint after step 1.
    second = begin(home)
    for step in (2, 3, 4):
        second.log_metrics({"loss": float(step), "new": 0.0}, step=step)
    second.end("FINISHED")
    assert second.run_id == first.run_id
    assert second.resumed
    assert not first.resumed
    assert curve(home, second) == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]
    assert curve(home, second, "new") == [(2, 0.0), (3, 0.0), (4, 0.0)]


class SaidStop(KeyboardInterrupt):
    """An interruption with a class of its own."""


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SaidStop, "KILLED"),
        (KeyboardInterrupt, "KILLED"),
        (ValueError, "FAILED"),
        (None, "FINISHED"),
    ],
)
def test_the_end_of_a_run_is_recorded(
    home: Home, error: type[BaseException] | None, status: str
) -> None:
    run = begin(home)
    try:
        with run:
            if error is not None:
                raise error
    except (KeyboardInterrupt, ValueError):
        pass
    assert connect(home).get_run(run.run_id).info.status == status
    again = begin(home)
    assert (again.run_id == run.run_id) == (status != "FINISHED")


def test_another_key_is_another_run(home: Home) -> None:
    assert begin(home).run_id != begin(home, "other").run_id


def test_hostile_names_and_values_are_stored_cleaned(home: Home) -> None:
    run = begin(home)
    config = {"a\0b": {"long": "x" * 10_000, "odd\udc80": "p\0q\udc80", "list": [1, {"z": None}]}}
    run.log_params(config)
    run.log_params(config)  # the same run again: what is there is kept, not an error
    run.log_metrics({"loss (nats)": 1.0}, step=0)
    run.set_tags({"report": "t" * 10_000, "nothing": None})
    data = connect(home).get_run(run.run_id).data
    assert data.params["ab.odd_"] == "pq?"
    assert data.params["ab.list.0"] == "1"
    assert data.params["ab.list.1.z"] == "null"
    assert len(data.params["ab.long"]) == 6000
    assert data.params["ab.long"].endswith("...")
    assert data.metrics == {"loss _nats_": 1.0}
    assert len(data.tags["report"]) == 8000
    assert "nothing" not in data.tags


def test_more_params_than_one_batch_holds(home: Home) -> None:
    run = begin(home)
    run.log_params({"p": {str(i): i for i in range(250)}})
    assert len(connect(home).get_run(run.run_id).data.params) == 250


def test_what_is_not_finite_is_not_stored(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    run = begin(home)
    run.log_metrics({"loss": float("inf"), "norm": float("nan"), "ok": 1.0}, step=3)
    assert connect(home).get_run(run.run_id).data.metrics == {"ok": 1.0}
    assert "loss=inf at step 3 is not finite" in caplog.text


def test_metrics_wait_for_a_store_that_is_away_and_land_once(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = begin(home)
    client = connect(home)
    send = type(client).log_batch
    failures = iter([True, True, False, False])

    def unreliable(*args: object, **kwargs: object) -> None:
        if next(failures):
            raise MlflowException("database is away")
        send(*args, **kwargs)

    monkeypatch.setattr(type(client), "log_batch", unreliable)
    for step in (1, 2, 3):
        run.log_metrics({"loss": float(step)}, step=step)
    assert curve(home, run) == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert caplog.text.count("database is away") == 1  # once an outage


def test_a_run_does_not_finish_with_metrics_lost(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(home)

    def refuse(*args: object, **kwargs: object) -> None:
        raise MlflowException("database is away")

    monkeypatch.setattr(type(connect(home)), "log_batch", refuse)
    run.log_metrics({"loss": 1.0}, step=1)
    with pytest.raises(TrackingError, match=r"1 metrics could not be stored \(database is away\)"):
        run.end("FINISHED")
    monkeypatch.undo()
    run.end("FINISHED")
    assert curve(home, run) == [(1, 1.0)]


def test_threads_share_a_run(home: Home) -> None:
    run = begin(home)

    def log(worker: int) -> None:
        for step in range(5):
            run.log_metrics({f"m{worker}": 1.0, "shared": 1.0}, step=step)

    threads = [threading.Thread(target=log, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [step for step, _ in sorted(curve(home, run, "shared"))] == [0, 1, 2, 3, 4]
    assert [step for step, _ in curve(home, run, "m3")] == [0, 1, 2, 3, 4]


def test_the_data_set_is_logged_under_our_digest(home: Home) -> None:
    run = begin(home)
    for _ in range(2):
        run.log_dataset("sotu", digest="f" * 64, source={"license": "CC0"}, profile={"bytes": 12})
    run.log_text("<p>", "report.html")
    run.log_text("{}", "evaluation/gates.json")
    client = connect(home)
    (entry,) = client.get_run(run.run_id).inputs.dataset_inputs
    assert entry.dataset.digest == "f" * 36
    assert "f" * 64 in entry.dataset.source
    assert entry.dataset.profile == '{"bytes": 12}'
    assert entry.tags[0].value == "training"
    names = {file.path for file in client.list_artifacts(run.run_id)}
    assert names == {"report.html", "evaluation"}
