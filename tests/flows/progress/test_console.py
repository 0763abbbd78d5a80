import threading
from pathlib import Path

import pytest

from flows.progress import console
from flows.progress.board import posted
from flows.progress.console import JobLines, jobs_shown
from flows.progress.job import Snapshot


def test_a_job_has_a_line_at_each_step_now_and_then_and_when_it_ends() -> None:
    lines = JobLines()
    job = {"job": "run", "model": "tales", "step": "ingest", "sentence": "ingest: 3 s so far"}
    assert lines.due([job], 0.0) == ["run tales: ingest: 3 s so far"]
    assert lines.due([job], 5.0) == []
    assert len(lines.due([{**job, "step": "train"}], 6.0)) == 1
    assert lines.due([{**job, "step": "train"}], 35.0) == []
    assert len(lines.due([{**job, "step": "train"}], 37.0)) == 1
    assert lines.due([], 38.0) == ["run tales: ended"]
    assert lines.due([], 39.0) == []


def test_what_another_process_does_is_shown_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "_LOOK_SECONDS", 0.01)
    told, never = "", threading.Event()
    with jobs_shown(tmp_path), posted(tmp_path, "run-tales") as notice:
        assert notice is not None
        notice.write(Snapshot(name="run", model="tales", step="train"))
        for _ in range(3000):
            told += capsys.readouterr().err
            if told:
                break
            never.wait(0.01)
    assert told.startswith("  run tales: train: ")
