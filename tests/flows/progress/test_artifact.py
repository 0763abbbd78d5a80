import threading

import pytest

from flows.progress.artifact import ProgressArtifact, flow_run_id


def artifact() -> ProgressArtifact:
    return ProgressArtifact("key", "Training, per cent")


def test_the_last_value_is_written_before_the_artifact_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[float] = []
    shown = artifact()
    monkeypatch.setattr(shown, "_write", written.append)
    shown.show(10.0)
    shown.show(11.0)  # so soon after the first one that the server is not asked
    shown.close(done=True)
    assert written[-1] == 100.0
    assert 11.0 not in written


def test_a_step_neither_waits_for_a_server_nor_stops_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked, back = threading.Event(), threading.Event()

    def away(value: float) -> None:
        asked.set()
        assert back.wait(timeout=60)
        raise OSError("500 Internal Server Error")

    shown = artifact()
    monkeypatch.setattr(shown, "_write", away)
    shown.show(1.0)
    assert asked.wait(timeout=60)
    shown.show(100.0)  # while the first request hangs
    back.set()
    shown.close()
    assert "does not show the progress of key: 500" in caplog.text


def test_an_artifact_that_showed_nothing_closes_and_asks_no_server() -> None:
    shown = artifact()
    shown.close(done=True)
    assert shown._thread is None


def test_outside_of_a_flow_there_is_no_flow_run() -> None:
    assert flow_run_id() is None
