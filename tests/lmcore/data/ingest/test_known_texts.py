"""What the ledger knows: asked for many at a time, in its order, and written once."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lmcore.data.ingest import known_texts, mapped_columns
from lmcore.data.ingest.anchors import Anchors
from lmcore.data.ingest.known_texts import join_known_forms, recognise, remember
from lmcore.data.ingest.split import LANGUAGE_MODEL, SplitLedger, attached_ledger
from lmcore.data.ingest.staging import Staging

Stage = Callable[..., Staging]


@pytest.fixture(autouse=True, params=[(500, 1 << 16), (2, 3)], ids=["many", "few"])
def together(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many are asked for together changes nothing."""
    most, block = request.param
    monkeypatch.setattr(known_texts, "_TOGETHER", most)
    monkeypatch.setattr(mapped_columns, "_BLOCK", block)


def _texts(*numbers: int) -> list[tuple[str, None]]:
    return [(" ".join(f"word{number}x{i}" for i in range(200)), None) for number in numbers]


def _look(staging: Staging, ledger: SplitLedger, *, write: bool) -> tuple[list[bool], Anchors]:
    """Which texts are known, and what they hang on."""
    anchors = Anchors(len(staging.texts), staging.scratch)
    with closing(sqlite3.connect(":memory:")) as work, attached_ledger(work, ledger.path):
        known = recognise(work, staging, anchors)
        join_known_forms(work, staging.texts, anchors, known)
        hangs = anchors.hangs.tolist()
        anchors.found_clusters(staging.texts.ids)
        if write:
            remember(work, staging, anchors, known, ledger)
        assert known.tolist() <= hangs
    return hangs, anchors


def test_what_is_written_is_known_with_its_anchors_signature_and_sketch(
    stage: Stage, tmp_path: Path
) -> None:
    ledger = SplitLedger(tmp_path / "split.sqlite", LANGUAGE_MODEL, "tales")
    first = stage(*_texts(*range(7)))
    assert _look(first, ledger, write=True)[0] == [False] * 7
    more = stage(*_texts(*range(3, 12)))
    hangs, anchors = _look(more, ledger, write=True)
    assert hangs == [True] * 4 + [False] * 5
    assert anchors.first.tolist() == more.texts.ids.tolist()
    with closing(sqlite3.connect(ledger.path)) as database:
        documents = database.execute("SELECT * FROM document ORDER BY id").fetchall()
        owners = database.execute("SELECT kind, model, id FROM owner ORDER BY id").fetchall()
    assert owners == [(LANGUAGE_MODEL, "tales", row[0]) for row in documents]
    compared = {}
    for staging in (first, more):
        texts = staging.texts
        signatures = np.fromfile(staging.signatures_path, np.uint8).reshape(len(texts), -1)
        sketches = texts.sketches.of(np.arange(len(texts)))
        for row, sketch in enumerate(sketches):
            identity = texts.ids[row].tobytes()
            form = texts.forms[row].tobytes()
            compared[identity] = (identity, identity, signatures[row].tobytes(), sketch, form)
    assert documents == sorted(compared.values())
    assert len(documents) == 12


def test_another_form_of_a_known_text_hangs_on_its_anchors(stage: Stage, tmp_path: Path) -> None:
    ledger = SplitLedger(tmp_path / "split.sqlite")
    texts = _texts(*range(6))
    first = stage(*texts)
    _look(first, ledger, write=True)
    copies = stage(*((text.upper(), None) for text, _ in texts[:4]), *_texts(20))
    hangs, anchors = _look(copies, ledger, write=False)
    assert hangs == [True] * 4 + [False]
    assert anchors.first[:4].tolist() == first.texts.ids[:4].tolist()
