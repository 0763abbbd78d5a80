"""A training is found where somebody waits for it, and only there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lmcore.errors import ConfigError
from lmcore.training.launch.files import LaunchFiles
from lmcore.training.launch.waiting import is_held, live_job, wait_for_job


@contextmanager
def launched(home: Path, run: str = "run", *, at: float = 1.0) -> Iterator[LaunchFiles]:
    """A launch whose parent lives inside."""
    files = LaunchFiles(home / "work" / run / "launch")
    files.folder.mkdir(parents=True)
    with files.parent.open("a+b") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        files.job.write_text("{}")
        os.utime(files.job, (at, at))
        yield files


def test_a_training_is_found_from_each_of_its_folders(tmp_path: Path) -> None:
    with launched(tmp_path) as files:
        for folder in (tmp_path, tmp_path / "work", files.folder):
            assert live_job(folder) == files
    assert live_job(tmp_path) is None  # nobody waits for it any more


def test_the_newest_that_has_no_result_is_meant(tmp_path: Path) -> None:
    with launched(tmp_path, "old", at=1.0) as old, launched(tmp_path, "new", at=2.0) as new:
        assert live_job(tmp_path) == new
        new.result.write_text("{}")
        assert live_job(tmp_path) == old


def test_waiting_ends_with_a_training_or_with_a_file(tmp_path: Path) -> None:
    slept: list[float] = []
    ended = tmp_path / "ended"

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            ended.touch()

    assert wait_for_job(tmp_path, until=ended, sleep=sleep) is None
    assert len(slept) == 3
    with launched(tmp_path) as files:
        # What is there is done first.
        assert wait_for_job(tmp_path, until=ended, sleep=sleep) == files


def test_a_folder_that_is_not_here_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="which all hosts share at the same path"):
        wait_for_job(tmp_path / "elsewhere")


def test_a_lock_that_is_not_there_is_not_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "lock")
