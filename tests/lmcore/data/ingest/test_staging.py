"""Texts between the two passes: each once, in order, with the side that its sources name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.copies.deduplication import SIGNATURE_BYTES
from lmcore.data.ingest.staged_texts import NAMED
from lmcore.data.ingest.staging import Staging
from lmcore.data.text.cleaning import document_id
from tests.support.parts import part


def row(text: str, date: str | None = None, target: str | None = "label") -> dict[str, Any]:
    return {"text": text, "date": date, "target": target}


class Adding:
    """Adds parts to a staging folder, and keeps the names of duplicates."""

    def __init__(self, staging: Staging, folder: Path) -> None:
        self.staging, self.folder = staging, folder
        self.duplicates: list[str] = []

    def __call__(
        self,
        *texts: str,
        forced: str | None = None,
        condemned: tuple[tuple[int, int], ...] = (),
        near_duplicates: bool = True,
        shift: int = 0,
    ) -> None:
        rows = [row(text) for text in texts]
        self.staging.add_part(
            part(self.folder, rows, near_duplicates=near_duplicates),
            source=1,
            shift=shift,
            forced=forced,
            condemned=condemned,
        )

    def finish(self) -> None:
        """Keep each text once."""
        self.staging.finish(on_duplicate=lambda name, size: self.duplicates.append(name))


def ids(staging: Staging, *, in_order: bool = False) -> list[str]:
    texts = staging.texts
    rows = texts.in_order if in_order else range(len(texts))
    return [texts.ids[row].tobytes().hex() for row in rows]


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    staging = Staging(tmp_path, near_duplicates=True)
    yield staging
    staging.close()


@pytest.fixture
def add(staging: Staging, tmp_path: Path) -> Adding:
    return Adding(staging, tmp_path / "parts")


def test_what_is_staged_streams_back_as_it_was(
    staging: Staging, add: Adding, tmp_path: Path
) -> None:
    rows = [row("one"), row("zwei ß", date="2020-01-02"), row("three", target="other")]
    staging.add_part(part(tmp_path / "parts", rows), source=1, shift=0, forced=None, condemned=())
    add.finish()
    assert list(staging.rows()) == [
        {
            "file": "0.jsonl",
            "position": number + 1,
            "text": one["text"],
            "name": f"0.jsonl:{number + 1}",
            "num_bytes": len(one["text"].encode()),
            "date": one["date"],
            "target": one["target"],
        }
        for number, one in enumerate(rows)
    ]


def test_a_text_is_staged_once_whichever_part_it_is_in(staging: Staging, add: Adding) -> None:
    add("one", "two", "one")
    add("two", "three", shift=10)
    add.finish()
    assert staging.num_rows == 3
    assert add.duplicates == ["0.jsonl:3", "2.jsonl:11"]
    assert staging.texts.stages.tolist() == [0, 1, 4]
    assert ids(staging) == [document_id(text) for text in ("one", "two", "three")]
    assert ids(staging, in_order=True) == sorted(ids(staging))
    assert [(found["text"], found["name"]) for found in staging.rows()] == [
        ("one", "0.jsonl:1"),
        ("two", "0.jsonl:2"),
        ("three", "2.jsonl:12"),
    ]
    assert [staging.name_of(row) for row in range(3)] == ["0.jsonl:1", "0.jsonl:2", "2.jsonl:12"]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from([None, "train", "validation"]), min_size=1, max_size=5))
def test_the_named_side_does_not_depend_on_the_order_of_sources(
    tmp_path_factory: pytest.TempPathFactory, sides: list[str | None]
) -> None:
    folder = tmp_path_factory.mktemp("staging")
    staging = Staging(folder, near_duplicates=False)
    add = Adding(staging, folder / "parts")
    for side in sides:
        add("one", forced=side, near_duplicates=False)
    add("two", near_duplicates=False)
    add.finish()
    expected = next((s for s in ("validation", "train") if s in sides), None)
    assert staging.texts.named.tolist() == [NAMED[expected], NAMED[None]]
    staging.close()


@pytest.mark.parametrize("near_duplicates", [True, False])
def test_a_condemned_file_leaves_no_trace_but_its_rows(
    tmp_path: Path, near_duplicates: bool
) -> None:
    def signatures(name: str, texts: list[str], condemned: list[str]) -> bytes:
        folder = tmp_path / name
        folder.mkdir()
        staging = Staging(folder, near_duplicates=near_duplicates)
        add = Adding(staging, folder / "parts")
        stop = 2 + len(condemned)
        # One of the texts comes again later, in a file that is sound.
        add(
            *texts[:2],
            *condemned,
            condemned=((2, stop),) if condemned else (),
            near_duplicates=near_duplicates,
        )
        add(*texts[2:], near_duplicates=near_duplicates)
        add.finish()
        assert staging.num_rows == len(texts)
        assert add.duplicates == []
        assert ids(staging) == [document_id(text) for text in texts]
        # What follows has its own place behind it.
        assert staging.texts.stages.tolist() == [0, 1, *range(stop, stop + 3)]
        assert [found["text"] for found in staging.rows()] == texts
        staging.close()
        return staging.signatures_path.read_bytes()

    texts = [f"a text of some words and the number {i}" for i in range(5)]
    condemned = ["of a bomb", texts[3], "and more of it", "and more", "than what follows"]
    plain = signatures("plain", texts, [])
    assert signatures("bomb", texts, condemned) == plain
    assert len(plain) == len(texts) * SIGNATURE_BYTES * near_duplicates
