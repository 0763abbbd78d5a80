import contextlib
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.kept_database import KeptDatabase, being_made, is_being_made
from lmcore.mending import mendings


def database_of(folder: Path) -> KeptDatabase:
    return KeptDatabase(folder / "some.db", root=folder, holds="something", remedy="restore it")


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
        found = database_of(folder)
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


def test_writing_goes_on_after_it_was_kept(tmp_path: Path) -> None:
    found = database_of(tmp_path)
    for number in range(3):
        write(found.path, str(number))
        found.keep()
        found.ready(used=True)
    assert values(found.path) == ["0", "1", "2"]
    assert len(list((tmp_path / "kept").iterdir())) == 1
    assert list(mendings(tmp_path)) == []


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
