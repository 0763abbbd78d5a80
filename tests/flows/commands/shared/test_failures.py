"""What a command says that cannot answer: of a full disk, of a path, of a book in an argument."""

import errno
import json
import shutil
import sqlite3
from collections import namedtuple
from pathlib import Path

import pytest

from flows.commands.shared.failures import MAX_SENTENCE, full_disk, report
from lmcore.errors import UserError

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


def test_a_path_that_cannot_be_used_is_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("/proc/version/x", "/tmp/" + "x" * 300, "/proc"):
        with pytest.raises(OSError, match=place) as met:
            Path(place).write_text("x")
        assert report(met.value, as_json=False) == 2
        shown = capsys.readouterr().err
        assert shown.startswith(f"lmcore: {place}: ")
        assert "Traceback" not in shown
    assert report(FileNotFoundError(errno.ENOENT, "No such file", "ours"), as_json=False) == 1


def test_what_is_quoted_is_cut_and_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(UserError("a\x1b[2J\x9b\x7f" + "b" * 9999), as_json=True) == 2
    out, err = capsys.readouterr()
    assert err.removesuffix("\n").isprintable()
    assert out.removesuffix("\n").isprintable()
    assert len(err) < MAX_SENTENCE + 20
    assert json.loads(out)["error"].startswith("a\x1b[2J\x9b\x7fb")
