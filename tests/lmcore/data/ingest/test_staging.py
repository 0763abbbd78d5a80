"""Texts between the two passes: each once, in order, with the side that its sources name."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.copies.deduplication import SIGNATURE_BYTES
from lmcore.data.ingest.assignment import assign
from lmcore.data.ingest.part_reading import read_part
from lmcore.data.ingest.part_task import PartFolder, PartStore, Task
from lmcore.data.ingest.parts import cut
from lmcore.data.ingest.places import cluster_counts, decided
from lmcore.data.ingest.removals_file import RemovalsFile
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.ingest.staging import Staging
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.text.cleaning import document_id


def part(folder: Path, rows: list[dict[str, Any]], *, near_duplicates: bool = True) -> PartFolder:
    """What comes of a file with these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{len(list(folder.iterdir()))}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = SourceConfig(path=str(path), date_field="date", target_field="target")
    data = DataConfig(near_duplicates=near_duplicates)
    (found,) = cut(fingerprint_sources([source]).sources, data=data)
    store = PartStore(root=folder / "store")
    return read_part(Task(part=found, data=data, removals=RemovalsFile(), store=store))


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
            on_duplicate=lambda name, size: self.duplicates.append(name),
        )


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    staging = Staging(tmp_path, near_duplicates=True)
    yield staging
    staging.close()


@pytest.fixture
def add(staging: Staging, tmp_path: Path) -> Adding:
    return Adding(staging, tmp_path / "parts")


def forced(staging: Staging) -> list[str | None]:
    return [side for (side,) in staging.work.execute("SELECT forced FROM current ORDER BY row")]


def test_what_is_staged_streams_back_as_it_was(staging: Staging, tmp_path: Path) -> None:
    rows = [row("one"), row("zwei ß", date="2020-01-02"), row("three", target="other")]
    staging.add_part(
        part(tmp_path / "parts", rows),
        source=1,
        shift=0,
        forced=None,
        condemned=(),
        on_duplicate=lambda name, size: None,
    )
    staging.finish()
    assert list(staging.rows()) == [
        {
            "stage": stage,
            "text": one["text"],
            "name": f"0.jsonl:{stage + 1}",
            "source": 1,
            "num_bytes": len(one["text"].encode()),
            "date": one["date"],
            "target": one["target"],
        }
        for stage, one in enumerate(rows)
    ]


def test_a_text_is_staged_once_whichever_part_it_is_in(staging: Staging, add: Adding) -> None:
    add("one", "two", "one")
    add("two", "three", shift=10)
    staging.finish()
    assert staging.num_rows == 3
    assert add.duplicates == ["0.jsonl:3", "2.jsonl:11"]
    staged = staging.work.execute("SELECT stage, id FROM current ORDER BY row").fetchall()
    assert staged == [
        (stage, bytes.fromhex(document_id(text)))
        for stage, text in ((0, "one"), (1, "two"), (4, "three"))
    ]
    assert [(found["stage"], found["name"]) for found in staging.rows()] == [
        (0, "0.jsonl:1"),
        (1, "0.jsonl:2"),
        (4, "2.jsonl:12"),
    ]


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from([None, "train", "validation"]), min_size=1, max_size=5))
def test_the_named_side_does_not_depend_on_the_order_of_sources(
    tmp_path_factory: pytest.TempPathFactory, sides: list[str | None]
) -> None:
    folder = tmp_path_factory.mktemp("staging")
    staging = Staging(folder, near_duplicates=False)
    for side in sides:
        Adding(staging, folder / "parts")("one", forced=side, near_duplicates=False)
    expected = next((s for s in ("validation", "train") if s in sides), None)
    assert forced(staging) == [expected]
    staging.finish()
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
        staging.finish()
        assert staging.num_rows == len(texts)
        assert add.duplicates == []
        kept = staging.work.execute("SELECT row, id FROM current ORDER BY row").fetchall()
        assert kept == [(n, bytes.fromhex(document_id(text))) for n, text in enumerate(texts)]
        # What follows has its own place behind it.
        streamed = [(found["stage"], found["text"]) for found in staging.rows()]
        places = [0, 1, *range(stop, stop + 3)]
        assert streamed == [*zip(places, texts, strict=True)]
        staging.close()
        return staging.signatures_path.read_bytes()

    texts = [f"a text of some words and the number {i}" for i in range(5)]
    condemned = ["of a bomb", texts[3], "and more of it", "and more", "than what follows"]
    plain = signatures("plain", texts, [])
    assert signatures("bomb", texts, condemned) == plain
    assert len(plain) == len(texts) * SIGNATURE_BYTES * near_duplicates


def test_where_texts_ended_up_and_how_many_clusters_that_makes(
    staging: Staging, add: Adding, tmp_path: Path
) -> None:
    speech = " ".join(f"word{i * i}" for i in range(300))
    texts = [*(f"Text {i} says {i * 7919}." for i in range(60)), speech, speech + " and more"]
    for text in texts:
        add(text, forced="validation" if text.startswith("Text 1 ") else None)
    staging.finish()
    assign(staging, data=DataConfig(), ledger=SplitLedger(tmp_path / "split.sqlite"))
    found = list(decided(staging.work))
    assert [place.stage for place in found] == list(range(62))
    assert [place.id for place in found] == [bytes.fromhex(document_id(text)) for text in texts]
    assert [place.shared for place in found] == [False] * 60 + [True] * 2
    assert found[60].cluster == found[61].cluster == min(found[60].id, found[61].id)
    assert all(place.cluster == place.id for place in found[:60])
    assert found[1].side == "validation"
    counts = cluster_counts(staging.work)
    assert (counts.num_shared, counts.documents_in_shared) == (1, 2)
    assert counts.by_side == {
        side: len({place.cluster for place in found if place.side == side})
        for side in {place.side for place in found}
    }
    assert sum(counts.by_side.values()) == 61
