import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from flows.home.environment import Home, make_home
from flows.home.prefect_database import found_sound, ready
from flows.home.publication import shared_use
from lmcore.errors import UserError
from lmcore.mending import mendings


@pytest.fixture
def used(tmp_path: Path) -> Home:
    home = make_home(tmp_path / "home")
    with contextlib.closing(sqlite3.connect(home.prefect_database)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE flow_run (name)")
        database.executemany("INSERT INTO flow_run VALUES (?)", [("x" * 3000,)] * 20)
    return home


def damaged(home: Home, place: int) -> bytes:
    content = bytearray(home.prefect_database.read_bytes())
    content[place] ^= 1
    home.prefect_database.write_bytes(content)
    return bytes(content)


def test_a_sound_database_stays(used: Home) -> None:
    before = used.prefect_database.read_bytes()
    ready(used)
    found_sound(used)
    ready(used)
    assert used.prefect_database.read_bytes() == before
    assert list(mendings(used.root)) == []


@pytest.mark.parametrize("place", [3, 4096])
def test_a_damaged_one_is_set_aside_for_a_new_one(used: Home, place: int) -> None:
    found_sound(used)
    content = damaged(used, place)
    ready(used)
    assert not used.prefect_database.exists()
    (mending,) = mendings(used.root)
    (kept,) = (used.root / "damaged").iterdir()
    assert str(kept) in mending.remedy
    assert kept.read_bytes() == content
    ready(used)


def test_a_damaged_one_that_another_server_works_with_stays(used: Home) -> None:
    content = damaged(used, 3)
    with shared_use(used.root), pytest.raises(UserError, match="in progress"):
        ready(used)
    assert used.prefect_database.read_bytes() == content


def test_a_home_without_one_is_left_alone(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    ready(home)
    shutil.rmtree(home.prefect)
    found_sound(home)
