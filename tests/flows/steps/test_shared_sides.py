"""What homes share of the split; a home that ingests shares it with the next one."""

from dataclasses import replace
from pathlib import Path

import pytest

from flows.home.environment import Home, make_home
from flows.steps.ingest_documents import fingerprint, ingest_documents
from flows.steps.shared_sides import shared_sides
from lmcore.config import RunConfig, parse_config
from lmcore.errors import IntegrityError
from lmcore.shared_store import INDEX

TEXT = "This is the {}th letter, about a ship, a harbour and the price of {} barrels of salt.\n"


def config_of(tmp_path: Path) -> RunConfig:
    folder = tmp_path / "letters"
    folder.mkdir()
    for number in range(60):
        (folder / f"{number}.txt").write_text(TEXT.format(number, number**3) * 3)
    values = {
        "name": "letters",
        "sources": [{"path": str(folder), "license": "CC0-1.0"}],
        "data": {"near_duplicates": False},
    }
    return parse_config(values, where="test")


def home_at(tmp_path: Path, name: str) -> Home:
    return make_home(tmp_path / name, environ={"LMCORE_CONTENT": str(tmp_path / "shared")})


def test_a_second_home_fetches_documents_and_their_sides(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    found = fingerprint(config)
    first, second = home_at(tmp_path, "a"), home_at(tmp_path, "b")
    made = ingest_documents(config, found, first)
    assert first.shared is not None
    assert len(first.shared.places("sides")) == 1
    fetched = ingest_documents(config, found, second)
    assert fetched.path != made.path
    assert fetched.key == made.key
    assert (fetched.path / "manifest.json").read_bytes() == (
        made.path / "manifest.json"
    ).read_bytes()
    # Nothing new was split, so nothing more is shared.
    assert len(first.shared.places("sides")) == 1
    alone = replace(second, shared_content=None)
    more = config.model_copy(update={"data": config.data.model_copy(update={"tune_fraction": 0.2})})
    split_again = ingest_documents(more, found, alone)
    assert split_again.account()["split"]["known_documents"] == 60


def test_damaged_sides_are_refused(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    ingest_documents(config, fingerprint(config), home_at(tmp_path, "a"))
    (index,) = (tmp_path / "shared" / "sides").glob(f"*/{INDEX}")
    index.write_text("{}")
    other = home_at(tmp_path, "b")
    with (
        pytest.raises(IntegrityError, match="the next run of that home shares them"),
        shared_sides(other),
    ):
        pytest.fail("nothing may be split")


def test_a_home_that_is_alone_shares_nothing(tmp_path: Path) -> None:
    home = make_home(tmp_path / "a")
    with shared_sides(home):
        pass
    assert not home.splits.exists()
