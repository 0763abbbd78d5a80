"""One text in several forms is one cluster, with near-copies looked for and without."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.config import DataConfig
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.split import side_of, write_recorded_sides
from lmcore.data.text.cleaning import clean, document_id

Write = Callable[..., dict[str, Any]]
RunIngest = Callable[..., DocumentSet]


def _sides(found: DocumentSet) -> dict[str, str]:
    return {document.text: document.split for document in found.iter_documents()}


_SYLLABLES = ["stra", "fi", "ffle", "gé", "flo", "men", "tion", "of", "wur", "xe", "lö"]


def _prose(seed: int, words: int = 70) -> str:
    rng = random.Random(seed)
    return " ".join("".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))) for _ in range(words))


@pytest.mark.parametrize("near_duplicates", [True, False])
def test_a_text_and_its_copy_in_another_form_are_on_one_side(
    run_ingest: RunIngest,
    write_records: Write,
    copy_of: Callable[[str], str],
    near_duplicates: bool,
) -> None:
    # Long ones, and lines of three words.
    texts = [_prose(i, 70 if i % 2 else 3) for i in range(60)]
    copies = [copy_of(text) for text in texts]
    found = run_ingest(write_records("a.jsonl", [*texts, *copies]), near_duplicates=near_duplicates)
    documents = {d.id: d for d in found.iter_documents()}
    pairs = [
        (documents[document_id(clean(one).text)], documents[document_id(clean(other).text)])
        for one, other in zip(texts, copies, strict=True)
    ]
    assert (
        sum(one.cluster == other.cluster and one.split == other.split for one, other in pairs) == 60
    )
    others = sum(one.id != other.id for one, other in pairs)
    assert found.account()["near_duplicates"]["other_forms"] == others
    assert found.summary["exact_duplicates"] == 60 - others
    # The text itself stays as it is.
    assert {other.text for _, other in pairs} == {clean(copy).text for copy in copies}


def test_a_text_is_known_in_another_form_when_it_is_gone(
    run_ingest: RunIngest, write_records: Write, copy_of: Callable[[str], str]
) -> None:
    texts = [_prose(i, 70 if i % 2 else 3) for i in range(60)]
    before = _sides(run_ingest(write_records("a.jsonl", texts), near_duplicates=False))
    copies = [copy_of(text) for text in texts]
    found = _sides(run_ingest(write_records("b.jsonl", copies), near_duplicates=False))
    for text, copy in zip(texts, copies, strict=True):
        assert found[clean(copy).text] == before[text]


def _as_before_forms(path: Path) -> None:
    """A ledger of the version that did not know forms."""
    with closing(sqlite3.connect(path)) as ledger:
        ledger.executescript(
            "DROP TABLE owner; DROP INDEX document_form;"
            " ALTER TABLE document DROP COLUMN form; PRAGMA user_version = 1;"
        )


def test_a_ledger_from_before_forms_keeps_its_sides_and_learns_them(
    run_ingest: RunIngest, write_records: Write, tmp_path: Path
) -> None:
    texts = [_prose(i) for i in range(60)]
    before = _sides(run_ingest(write_records("a.jsonl", texts)))
    _as_before_forms(tmp_path / "home" / "split.sqlite")
    copies = [text.upper() for text in texts]
    after = _sides(run_ingest(write_records("b.jsonl", [*texts, *copies])))
    assert {text: after[text] for text in texts} == before
    assert [after[copy] for copy in copies] == [before[text] for text in texts]


def test_of_two_forms_that_an_old_ledger_put_on_two_sides_only_validation_is_used(
    run_ingest: RunIngest, write_records: Write, tmp_path: Path
) -> None:
    def side(text: str) -> str:
        return side_of(bytes.fromhex(document_id(text)), data=DataConfig())

    texts = [_prose(i) for i in range(60)]
    held, copy = next(
        (text, text.upper())
        for text in map(_prose, range(100, 2_000))
        if side(text) == "validation" and side(text.upper()) == "train"
    )
    run_ingest(write_records("a.jsonl", [*texts, held]))
    run_ingest(write_records("b.jsonl", [*texts, held, copy]))
    ledger_path = tmp_path / "home" / "split.sqlite"
    with closing(sqlite3.connect(ledger_path)) as ledger, ledger:
        # What the release before would have done.
        ledger.execute(
            "UPDATE document SET anchors = id WHERE id = ?", (bytes.fromhex(document_id(copy)),)
        )
    _as_before_forms(ledger_path)
    found = run_ingest(write_records("c.jsonl", [*texts, held, copy, _prose(9_999)]))
    sides = _sides(found)
    assert sides[held] == "validation"
    assert sides[copy] == "excluded"
    assert found.account()["split"]["excluded"]["near_copies_of_validation"] == 1
    # A version that had them so is made again as it was.
    rows = [
        {**row, "split": "train", "cluster": row["id"]} if row["split"] == "excluded" else row
        for row in found.iter_rows()
    ]
    write_recorded_sides(tmp_path / "again" / "split.sqlite", rows)
    texts = [*texts, held, copy, _prose(9_999)]
    again = _sides(run_ingest(write_records("d.jsonl", texts), home="again"))
    assert again == sides | {copy: "train"}
