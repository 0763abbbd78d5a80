import contextlib
import errno
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore import kept_database as module
from lmcore.errors import StorageError
from lmcore.kept_database import KeptDatabase, being_made, is_being_made
from lmcore.mending import mendings


def database_of(folder: Path, *, in_pieces: bool = False) -> KeptDatabase:
    return KeptDatabase(
        folder / "some.db",
        root=folder,
        holds="something",
        remedy="restore it",
        in_pieces=in_pieces,
    )


def write(path: Path, value: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS facts (value)")
        connection.execute("INSERT INTO facts VALUES (?)", (value,))


def values(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM facts")]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_bit_flips_what_was_written_is_read(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = database_of(folder, in_pieces=data.draw(st.booleans()))
        for value in data.draw(st.lists(st.text(max_size=40), min_size=1, max_size=3)):
            write(found.path, value)
        found.keep()
        before, sound = values(found.path), found.path.read_bytes()
        place = data.draw(st.integers(0, len(sound) - 1))
        flipped = sound[place] ^ 1 << data.draw(st.integers(0, 7))
        found.path.write_bytes(sound[:place] + bytes([flipped]) + sound[place + 1 :])
        found.ready(used=True)
        assert values(found.path) == before
        assert len(list(mendings(folder))) <= 1


@pytest.mark.parametrize("in_pieces", [False, True])
def test_writing_goes_on_after_it_was_kept(tmp_path: Path, in_pieces: bool) -> None:
    found = database_of(tmp_path, in_pieces=in_pieces)
    for number in range(3):
        write(found.path, str(number))
        found.keep()
        found.ready(used=True)
    assert values(found.path) == ["0", "1", "2"]
    assert len(list((tmp_path / "kept").iterdir())) == 1
    assert list(mendings(tmp_path)) == []


def test_what_is_read_in_pieces_is_kept_like_what_is_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE_BYTES", 1_000)
    kept = []
    for name, in_pieces in (("pieces", True), ("once", False)):
        (tmp_path / name).mkdir()
        found = database_of(tmp_path / name, in_pieces=in_pieces)
        for number in range(40):
            write(found.path, "some value " * number)
        found.keep()
        (copy,) = (tmp_path / name / "kept").iterdir()
        assert copy.read_bytes() == found.path.read_bytes()
        kept.append(copy.name)
    assert kept[0] == kept[1]


def test_a_full_disk_leaves_no_half_of_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    found = database_of(tmp_path, in_pieces=True)
    write(found.path, "one")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="no space is left"):
            found.ready(used=True)
    assert list((tmp_path / "kept").iterdir()) == []
    found.ready(used=True)
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_a_database_whose_making_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    killed = being_made(path)
    killed.__enter__()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE half (a)")
    assert is_being_made(path)
    with being_made(path):
        assert not path.exists()
        path.write_bytes(b"whole")
    assert not is_being_made(path)
    with being_made(path):
        assert path.read_bytes() == b"whole"
    assert [file.name for file in tmp_path.iterdir()] == ["some.db"]
