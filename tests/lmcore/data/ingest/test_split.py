"""Sides: a pure function of the id, and a ledger that only grows."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import DataConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.split import (
    ANCHOR_KEY,
    SPLIT_KEY,
    in_anchor_slice,
    keyed_uniform,
    side_of,
    write_recorded_sides,
)
from lmcore.errors import IntegrityError
from lmcore.mending import mendings

Write = Callable[..., dict[str, Any]]
RunIngest = Callable[..., DocumentSet]


def _texts(count: int, *, start: int = 0) -> list[str]:
    return [
        f"Text number {i} says {i * i} and {i * 7919 % 104729}."
        for i in range(start, start + count)
    ]


def test_the_hash_is_the_documented_one() -> None:
    anchor = hashlib.sha256(b"any").digest()
    digest = hashlib.sha256(SPLIT_KEY + anchor.hex().encode()).digest()
    assert keyed_uniform(anchor, key=SPLIT_KEY) == pytest.approx(
        int.from_bytes(digest, "big") / 2**256
    )
    assert keyed_uniform(anchor, key=SPLIT_KEY) != keyed_uniform(anchor, key=ANCHOR_KEY)


@settings(deadline=None, max_examples=100)
@given(st.binary(min_size=32, max_size=32), st.floats(0.01, 0.5), st.floats(0.01, 0.3))
def test_a_larger_fraction_only_takes_and_never_swaps(
    anchor: bytes, validation: float, tune: float
) -> None:
    small = DataConfig(validation_fraction=validation / 2, tune_fraction=tune)
    large = DataConfig(validation_fraction=validation, tune_fraction=tune)
    if side_of(anchor, data=small) == "validation":
        assert side_of(anchor, data=large) == "validation"
    assert 0 <= keyed_uniform(anchor, key=SPLIT_KEY) < 1


def test_fractions_are_met(run_ingest: RunIngest, write_lines: Write) -> None:
    found = run_ingest(write_lines("a.txt", _texts(3_000)), near_duplicates=False)
    # Binomial standard deviations: 16.4 documents of 300, 9.3 of 90, 12.2 of about 150.
    assert found.summary["validation_documents"] == pytest.approx(300, abs=66)
    assert found.summary["tune_documents"] == pytest.approx(90, abs=38)
    assert found.summary["anchor_documents"] == pytest.approx(150, abs=60)
    for document in found.iter_documents():
        anchor = bytes.fromhex(document.cluster)
        assert document.split == side_of(anchor, data=DataConfig())
        assert document.anchor == (document.split == "validation" and in_anchor_slice(anchor))


def test_the_ledger_only_grows(run_ingest: RunIngest, write_lines: Write, tmp_path: Path) -> None:
    path = tmp_path / "home" / "split.sqlite"

    def rows() -> set[tuple[Any, ...]]:
        connection = sqlite3.connect(path)
        found = set(connection.execute("SELECT * FROM document"))
        connection.close()
        return found

    run_ingest(write_lines("a.txt", _texts(50)))
    first = rows()
    assert len(first) == 50
    run_ingest(write_lines("a.txt", [*_texts(20), *_texts(30, start=900)]))
    assert first < rows()
    assert len(rows()) == 80


@pytest.mark.parametrize("damage", ["garbage", "version"])
def test_a_damaged_ledger_is_refused_and_not_overwritten(
    run_ingest: RunIngest, write_lines: Write, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "home" / "split.sqlite"
    path.parent.mkdir()
    if damage == "garbage":
        path.write_bytes(b"this is no database " * 100)
    else:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match=r"split\.sqlite: .*LMCORE_HOME"):
        run_ingest(write_lines("a.txt", _texts(50)))
    assert path.read_bytes() == before


@pytest.mark.parametrize("loss", ["missing", "empty", "header", "row"])
def test_a_lost_or_damaged_ledger_is_put_back_and_no_document_changes_sides(
    run_ingest: RunIngest, write_lines: Write, tmp_path: Path, loss: str
) -> None:
    path = tmp_path / "home" / "split.sqlite"
    first = run_ingest(write_lines("a.txt", _texts(60)))
    sound = path.read_bytes()
    place = 1 if loss == "header" else sound.index(bytes.fromhex(next(first.iter_rows())["id"]))
    if loss == "missing":
        path.unlink()
    elif loss == "empty":
        path.write_bytes(b"")
    else:
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 4]) + sound[place + 1 :])
    later = run_ingest(write_lines("a.txt", _texts(90)), validation_fraction=0.6)
    sides = {document.id: document.cluster for document in later.iter_documents()}
    assert all(sides[document.id] == document.cluster for document in first.iter_documents())
    assert later.account()["split"]["known_documents"] == 60
    (mending,) = mendings(path.parent)
    assert mending.what == str(path)


def test_a_ledger_that_is_gone_with_its_copy_is_not_made_anew(
    run_ingest: RunIngest, write_lines: Write, tmp_path: Path
) -> None:
    path = tmp_path / "home" / "split.sqlite"
    run_ingest(write_lines("a.txt", _texts(60)))
    path.unlink()
    shutil.rmtree(path.parent / "kept")
    with pytest.raises(IntegrityError, match=r"split\.sqlite: it is missing.*restore it"):
        run_ingest(write_lines("a.txt", _texts(90)))
    assert not path.exists()


def test_recorded_sides_are_kept_whatever_the_fractions_are_now(
    run_ingest: RunIngest, write_lines: Write, tmp_path: Path
) -> None:
    named = write_lines("v.txt", _texts(5, start=900), split="validation")
    found = run_ingest(write_lines("a.txt", _texts(200)), named)
    write_recorded_sides(tmp_path / "other" / "split.sqlite", found.iter_rows())
    again = run_ingest(
        write_lines("a.txt", _texts(300)),
        write_lines("v.txt", _texts(5, start=900)),
        home="other",
        validation_fraction=0.6,
        tune_fraction=0.2,
    )
    sides = {document.id: document.split for document in again.iter_documents()}
    for document in found.iter_documents():
        assert sides[document.id] == document.split
    assert again.account()["split"]["known_documents"] == 205
    # What is new is split as the configuration says, so most of it is not for training.
    assert list(sides.values()).count("train") < found.count("train") + 50
