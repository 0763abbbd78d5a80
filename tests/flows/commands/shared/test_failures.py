"""What a command says where a disk is full, in the words of whoever met it."""

import errno
import shutil
import sqlite3
from collections import namedtuple
from pathlib import Path

import pytest

from flows.commands.shared.failures import full_disk

Usage = namedtuple("Usage", "total used free")


def test_a_write_that_found_no_room_is_named_with_its_folder(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(OSError, match="No space left") as met:
        Path("/dev/full").write_text("x")
    assert str(tmp_path) in str(full_disk(met.value, tmp_path))
    named = OSError(errno.EDQUOT, "Disk quota exceeded", str(elsewhere / "out.html"))
    wrapped = RuntimeError("the step failed")
    wrapped.__cause__ = named
    assert str(elsewhere) in str(full_disk(wrapped, tmp_path))


def test_a_database_and_a_server_need_not_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (sqlite3.OperationalError("database or disk is full"), RuntimeError("500")):
        assert full_disk(error, tmp_path) is None
        with monkeypatch.context() as patched:
            patched.setattr(shutil, "disk_usage", lambda _: Usage(100, 100, 0))
            assert "0 bytes free" in str(full_disk(error, tmp_path))
    assert full_disk(RuntimeError("no disk"), tmp_path / "missing") is None
