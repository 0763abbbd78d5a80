"""Sides: a pure function of the id, and a ledger that only grows."""

import functools
import hashlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.documents import SPLITS, DocumentSet
from lmcore.data.ingest import assignment as module
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.split import (
    ANCHOR_KEY,
    LANGUAGE_MODEL,
    SPLIT_KEY,
    TASK,
    Sides,
    SplitLedger,
    attached_ledger,
    in_anchor_slice,
    keyed_uniform,
    keyed_uniforms,
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


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.binary(min_size=32, max_size=32), max_size=9, unique=True),
    st.floats(0.01, 0.5),
    st.integers(0, 9),
)
def test_many_sides_are_those_of_one_after_the_other(
    anchors: list[bytes], fraction: float, appointed: int
) -> None:
    data = DataConfig(validation_fraction=fraction)
    with (
        tempfile.TemporaryDirectory() as name,
        closing(sqlite3.connect(":memory:")) as work,
        attached_ledger(work, Path(name) / "split.sqlite"),
    ):
        sides = Sides(work, data=data)
        for anchor in anchors[:appointed]:
            sides.appoint(work, anchor, "tune")
        found = [SPLITS[code] for code in sides.of_all(anchors)]
        assert found == [sides.of(anchor) for anchor in anchors]
        assert found[:appointed] == ["tune"] * len(anchors[:appointed])
        uniforms = keyed_uniforms(anchors, key=ANCHOR_KEY).tolist()
        assert uniforms == [keyed_uniform(anchor, key=ANCHOR_KEY) for anchor in anchors]


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


def _prose(count: int, *, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(5_000)}" for _ in range(150)) for _ in range(count)]


def _edited(text: str) -> str:
    words = text.split()
    words[3], words[-4] = "another", "elsewhere"
    return " ".join(words)


class Home:
    """Splits texts for models, with one ledger."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root, root / "split.sqlite"
        root.mkdir()

    def split(self, kind: str, model: str, texts: list[str]) -> dict[str, str]:
        """Clusters of the texts."""
        file = self.root / f"{model}-{len(list(self.root.iterdir()))}.txt"
        file.write_text("".join(text + "\n" for text in texts))
        found = ingest(
            ContentStore(self.root / "store"),
            sources=[SourceConfig(path=str(file), format="lines")],
            data=DataConfig(unit="line"),
            policy=PolicyConfig(),
            ledger=SplitLedger(self.path, kind=kind, model=model),
        )
        clusters = {document.text: document.cluster for document in found.iter_documents()}
        return {text: clusters[text] for text in texts}

    def rows(self, table: str) -> list[Any]:
        with closing(sqlite3.connect(self.path)) as file:
            return sorted(file.execute(f"SELECT * FROM {table}"))

    def as_before_owners(self) -> None:
        """What the release before would have left."""
        with closing(sqlite3.connect(self.path)) as file:
            file.executescript("DROP TABLE owner; PRAGMA user_version = 2;")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "one-home")


@pytest.mark.parametrize(
    ("first", "second", "leaks"),
    [
        ((LANGUAGE_MODEL, "tales"), (TASK, "mood"), True),
        # A task may begin later with a language model that was trained after it was judged.
        ((TASK, "mood"), (LANGUAGE_MODEL, "tales"), True),
        ((LANGUAGE_MODEL, "tales"), (LANGUAGE_MODEL, "tales"), True),
        ((LANGUAGE_MODEL, "tales"), (LANGUAGE_MODEL, "letters"), False),
        ((TASK, "mood"), (TASK, "summary"), False),
        (("", ""), (LANGUAGE_MODEL, "letters"), True),
        ((LANGUAGE_MODEL, "letters"), ("", ""), True),
    ],
)
def test_near_copies_are_on_one_side_wherever_text_can_leak(
    home: Home, first: tuple[str, str], second: tuple[str, str], leaks: bool
) -> None:
    texts = _prose(40, seed=1)
    copies = [_edited(text) for text in texts]
    before = home.split(*first, texts)
    after = home.split(*second, [*copies, texts[0]])
    same = [after[copy] == before[text] for text, copy in zip(texts, copies, strict=True)]
    # The text itself is known to everybody.
    assert after[texts[0]] == before[texts[0]]
    assert same[1:] == [leaks] * (len(texts) - 1)


def test_what_another_language_model_splits_costs_nothing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []

    class Counted(sqlite3.Connection):
        """Counts the steps of SQLite's machine: each row that is looked at is some of them."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            steps.append(0)
            self.set_progress_handler(self._step, 100)

        def _step(self) -> None:
            steps[-1] += 1

    monkeypatch.setattr(module, "connect", functools.partial(sqlite3.connect, factory=Counted))
    own, later, others = (_prose(n, seed=n) for n in (60, 61, 1_500))
    for number, model in enumerate(("", "letters", "tales")):
        home = Home(tmp_path / str(number))
        if model:
            home.split(LANGUAGE_MODEL, model, others)
        home.split(LANGUAGE_MODEL, "tales", own)
        home.split(LANGUAGE_MODEL, "tales", [*own, *later])
    alone, beside, among = steps[1], steps[4], steps[7]
    assert beside < 1.1 * alone
    # The same text of the model's own is looked at.
    assert among > 2 * alone


def test_a_ledger_from_before_keeps_each_side_and_is_everybodys(home: Home) -> None:
    texts = _prose(40, seed=2)
    before = home.split(LANGUAGE_MODEL, "tales", texts)
    rows = home.rows("document")
    home.as_before_owners()
    copies = [_edited(text) for text in texts]
    after = home.split(LANGUAGE_MODEL, "letters", copies)
    assert list(after.values()) == list(before.values())
    assert set(rows) <= set(home.rows("document"))
    assert {kind for kind, _, _ in home.rows("owner")} == {"", LANGUAGE_MODEL}
    assert len(home.rows("owner")) == 80


_KILLED = """
import os, sqlite3, sys
from pathlib import Path
from lmcore.data.ingest.split import attached_ledger
work = sqlite3.connect(":memory:")
left = int(sys.argv[2])
def step():
    global left
    left -= 1
    if left < 0:
        os._exit(9)
work.set_progress_handler(step, 10)
with attached_ledger(work, Path(sys.argv[1])):
    os._exit(0)
"""


def test_a_ledger_whose_upgrade_is_killed_is_upgraded_by_the_next(home: Home) -> None:
    texts = _prose(300, seed=3)
    home.split(LANGUAGE_MODEL, "tales", texts)
    home.as_before_owners()
    rows, outcomes = home.rows("document"), []
    for steps in (20, 60, 120, 250, 500, 10_000):
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, str(home.path), str(steps)],
            env={"PYTHONPATH": ":".join(sys.path)},
            check=False,
        )
        outcomes.append(done.returncode)
        assert home.rows("document") == rows
    assert set(outcomes) == {9, 0}
    assert home.rows("owner") == [("", "", row[0]) for row in rows]
