import os
import stat
from pathlib import Path

import pytest

from lmcore.durable import atomic_write, storage_number, storing
from lmcore.errors import ConfigError, StorageError, UserError


def test_atomic_write_keeps_the_old_file_when_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file.json"
    atomic_write(target, "old")
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:

            def fail(*_: object) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(os, name, fail)
            with pytest.raises(StorageError, match=r"file\.json: no space .* make room there"):
                atomic_write(target, "new")
        assert target.read_text() == "old"
        assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


def test_who_may_read_a_file_is_the_umask_or_what_is_asked_for(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "as usual", "x")
        atomic_write(tmp_path / "secret", "x", mode=0o600)
        atomic_write(tmp_path / "open", "x", mode=0o644)
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"as usual": 0o640, "secret": 0o600, "open": 0o644}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Error while serializing: IoError(No space left on device (os error 28))", "no space"),
        ("12 requested and 0 written", "no space"),
        ("(sqlite3.OperationalError) database or disk is full", "no space"),
        ("[Errno 5] Error writing bytes. Detail: [errno 5] Input/output error", "disk fails"),
        ("disk I/O error", "disk fails"),
        ("attempt to write a readonly database", "only be read"),
    ],
)
def test_a_disk_that_a_library_tells_of_in_its_own_words_is_one_sentence(
    words: str, said: str
) -> None:
    with pytest.raises(StorageError, match=rf"^/home/x: .*{said}"), storing(Path("/home/x")):
        raise RuntimeError(words)


def test_the_file_that_an_error_names_is_named_and_its_cause_counts() -> None:
    with pytest.raises(StorageError, match=r"^/full/y: .*fails"), storing(Path("/full")):
        raise OSError(5, "Input/output error", "/full/y")
    drawn = ValueError("the page could not be drawn")
    drawn.__cause__ = OSError(28, "No space left on device")
    with pytest.raises(StorageError, match=r"^/full: "), storing(Path("/full")):
        raise drawn


def test_other_errors_come_through_as_they_are() -> None:
    for error in (ValueError("step 28 of 30"), FileNotFoundError(2, "No such file")):
        assert storage_number(error) is None
        with pytest.raises(type(error)), storing(Path("x")):
            raise error
    with pytest.raises(ConfigError), storing(Path("x")):
        raise ConfigError("disk I/O error")


def test_a_device_a_pipe_or_a_link_to_one_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    (tmp_path / "usual").symlink_to(tmp_path / "not yet there")
    for name in ("pipe", "link"):
        before = (tmp_path / name).lstat()
        with pytest.raises(UserError, match=f"{name}: a device, a pipe or a socket"):
            atomic_write(tmp_path / name, "text")
        assert (tmp_path / name).lstat() == before
    atomic_write(tmp_path / "usual", "text")
    assert (tmp_path / "usual").read_text() == "text"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe", "usual"]
