"""What a command says where a disk is full or fails, in the words of whoever met it."""

import errno
import shutil
import sqlite3
from collections import namedtuple
from pathlib import Path

import pytest

from flows.commands.shared.failures import disk_failure

Usage = namedtuple("Usage", "total used free")


def test_a_write_that_found_no_room_is_named_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as met:
        Path("/dev/full").write_text("x")
    assert str(disk_failure(met.value, tmp_path)).startswith(f"{tmp_path}: no space is left")
    named = OSError(errno.EDQUOT, "Disk quota exceeded", "/elsewhere/out.html")
    wrapped = RuntimeError("the step failed")
    wrapped.__cause__ = named
    assert str(disk_failure(wrapped, tmp_path)).startswith("/elsewhere/out.html: the quota")
    named = OSError(errno.EIO, "Input/output error", "/elsewhere/in.txt")
    assert "disk fails" in str(disk_failure(named, tmp_path))


def test_a_database_says_it_and_a_server_need_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    assert "make room there" in str(disk_failure(full, tmp_path))
    assert disk_failure(RuntimeError("500"), tmp_path) is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 100, 0))
    assert "make room there" in str(disk_failure(RuntimeError("500"), tmp_path))


def test_a_home_that_is_not_there_has_no_disk(tmp_path: Path) -> None:
    assert disk_failure(RuntimeError("no disk"), tmp_path / "missing") is None
