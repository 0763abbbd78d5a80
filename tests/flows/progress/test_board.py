import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

from flows.progress.board import posted, running
from flows.progress.job import Snapshot


def hold(folder: Path, ready: Any) -> None:
    with posted(folder, "run-tales", flow_run_id="f") as notice:
        assert notice is not None
        notice.write(Snapshot(name="run", model="tales", step="train", done=3, total=9))
        ready.set()
        signal.pause()


def test_a_job_is_seen_while_its_process_lives_and_not_after_it_was_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready), daemon=True)
    process.start()
    assert ready.wait(timeout=60)
    (job,) = running(tmp_path)
    assert (job["model"], job["step"], job["done"], job["total"]) == ("tales", "train", 3, 9)
    assert job["prefect_flow_run_id"] == "f"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert list(tmp_path.glob("*.json"))  # which nobody could clear away
    assert running(tmp_path) == []


def test_two_processes_with_one_job_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with posted(tmp_path, "run a/b") as first, posted(tmp_path, "run a/b") as second:
        assert first is not None
        assert second is not None
        assert first.path.parent == tmp_path
        second.write(Snapshot(name="run"))
        assert len(running(tmp_path)) == 1
    assert running(tmp_path) == []


def test_a_board_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with posted(tmp_path / "file" / "board", "run") as notice:
        assert notice is None
    assert running(tmp_path / "nowhere") == []


def test_nonsense_on_the_board_is_passed_over(tmp_path: Path) -> None:
    with posted(tmp_path, "run") as notice:
        assert notice is not None
        for text in ("{", json.dumps([1]), ""):
            notice.path.write_text(text)
            assert running(tmp_path) == []
