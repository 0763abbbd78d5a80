import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from flows.home.environment import Home, make_home
from flows.home.locks import BusyError, using_content
from flows.home.registry_database import keep, ready
from lmcore.errors import IntegrityError
from lmcore.mending import mendings


def kept(home: Home) -> list[Path]:
    return list((home.mlflow_database.parent / "kept").iterdir())


def write(home: Home, name: str) -> None:
    with contextlib.closing(sqlite3.connect(home.mlflow_database)) as database, database:
        database.execute("INSERT INTO registered_models (name) VALUES (?)", (name,))


def names(home: Home) -> list[str]:
    with contextlib.closing(sqlite3.connect(home.mlflow_database)) as database:
        return [name for (name,) in database.execute("SELECT name FROM registered_models")]


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << (place % 8)
    path.write_bytes(content)


def test_every_flipped_bit_is_found_and_nothing_is_lost(home: Home) -> None:
    write(home, "speeches")
    keep(home)
    sound = home.mlflow_database.read_bytes()
    places = [*range(0, 24, 3), *range(28, 92, 8), 96, 99, *range(4096, len(sound), 99_991)]
    for place in places:
        flip(home.mlflow_database, place)
        ready(home)
        assert home.mlflow_database.read_bytes() == sound, place
    assert len(list(mendings(home.root))) == len(places)
    # One of the two counts is no loss: the other still tells what was kept.
    for place in (24, 27, 92, 95):
        flip(home.mlflow_database, place)
        ready(home)
        assert names(home) == ["speeches"]


@pytest.mark.parametrize("loss", ["missing", "empty", "short"])
def test_a_lost_database_is_put_back(home: Home, loss: str) -> None:
    write(home, "speeches")
    keep(home)
    path = home.mlflow_database
    if loss == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if loss == "empty" else path.read_bytes()[:9000])
    ready(home)
    assert names(home) == ["speeches"]
    (mending,) = mendings(home.root)
    assert mending.what == str(path)


@pytest.mark.parametrize("loss", ["missing", "empty"])
def test_a_lost_registry_beside_its_files_is_no_new_home(home: Home, loss: str) -> None:
    (home.mlflow_artifacts / "models").mkdir()
    home.mlflow_database.unlink()
    if loss == "empty":
        home.mlflow_database.touch()
    with pytest.raises(IntegrityError, match=rf"mlflow.db: it is {loss}.*restore it from a backup"):
        ready(home)


def test_a_new_home_has_no_database_yet(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    ready(home)
    keep(home)
    assert not home.mlflow_database.exists()


def test_what_was_written_after_it_was_kept_is_kept_too_or_nothing_is_decided(home: Home) -> None:
    keep(home)
    write(home, "speeches")  # and killed
    first = kept(home)
    ready(home)
    assert kept(home) != first
    write(home, "tales")
    flip(home.mlflow_database, 5)
    with pytest.raises(IntegrityError, match=r"written to after .*go on from then with `cp "):
        ready(home)
    shutil.copy(kept(home)[0], home.mlflow_database)
    ready(home)
    assert names(home) == ["speeches"]


def test_a_damaged_copy_is_not_believed(home: Home) -> None:
    keep(home)
    flip(kept(home)[0], 5000)
    flip(home.mlflow_database, 5)
    with pytest.raises(IntegrityError, match="no sound copy"):
        ready(home)


def test_a_database_that_a_run_works_with_is_left_in_its_place(home: Home) -> None:
    keep(home)
    flip(home.mlflow_database, 5)
    damaged = home.mlflow_database.read_bytes()
    with using_content(home.locks), pytest.raises(BusyError, match="a run works with it"):
        ready(home)
    assert home.mlflow_database.read_bytes() == damaged
    ready(home)
