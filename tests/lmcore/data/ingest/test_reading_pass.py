"""Pass one: every piece is staged, dropped or set aside, once, and whoever watches sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.copies.removal import NOTHING_REMOVED, Removal, Removals
from lmcore.data.ingest.part_task import PartStore
from lmcore.data.ingest.reading_pass import ReadingPass
from lmcore.data.ingest.removals_file import RemovalsFile
from lmcore.data.ingest.staging import Staging
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.sources.records import BadInput, Item, LeftOut, Opened, Record
from lmcore.data.text.cleaning import document_id
from lmcore.errors import SourceError

Run = Callable[..., tuple[ReadingPass, list[str], list[Item]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def read(
        *places: Path, removals: Removals = NOTHING_REMOVED, **data: Any
    ) -> tuple[ReadingPass, list[str], list[Item]]:
        work = tmp_path / "work"
        work.mkdir()
        located = fingerprint_sources([SourceConfig(path=str(place)) for place in places]).sources
        seen: list[Item] = []
        settings = DataConfig(near_duplicates=False, **data)
        job = ReadingPass(
            tmp_path,
            located,
            data=settings,
            removals=RemovalsFile.write(removals, work),
            parts=PartStore(root=work),
            watch=lambda _, i: seen.append(i),
        )
        staging = Staging(work, near_duplicates=False)
        try:
            job.read_all(staging)
            return job, [row["text"] for row in staging.rows()], seen
        finally:
            staging.close()

    return read


def test_every_piece_is_counted_once(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    gone = "somebody's letter"
    rows = ["one", "two", "one", "  ", gone, "write to ann@example.org"]
    lines = "".join(json.dumps({"text": row}) + "\n" for row in rows) + "no json\n"
    (folder / "a.jsonl").write_text(lines)
    (folder / "b.png").write_bytes(b"x")
    entry = Removal(
        document=document_id(gone), sketch=None, reason="r", who="w", at="2026-01-01", model=None
    )
    job, texts, seen = run(folder, removals=Removals.of([entry]))
    assert texts == ["one", "two", "write to <EMAIL>"]
    account = job.tally.to_json()
    assert account["records"] == {
        **{"read": 7, "exact_duplicates": 1, "dropped": 2, "quarantined": 1},
    }
    assert set(account["dropped"]) == {"empty", "removed"}
    assert [type(item) for item in seen] == [Opened, *[Record] * 6, BadInput, LeftOut]
    (refusal,) = job.refusals
    assert "1 of 7 records cannot be read" in refusal


def test_a_text_that_cannot_be_normalised_is_set_aside_and_seen(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "\\ud800"}\n{"text": "fine"}\n')
    job, texts, seen = run(tmp_path / "a.jsonl")
    assert texts == ["fine"]
    (bad,) = [item for item in seen if isinstance(item, BadInput)]
    assert (bad.position, bad.reason) == (1, "a lone surrogate at character 0")
    assert job.tally.quarantined == 1


def test_the_first_bad_piece_ends_it_where_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\nno json\n')
    with pytest.raises(SourceError, match=r"a\.jsonl:2: not JSON.*data\.on_bad_input"):
        run(tmp_path / "a.jsonl", on_bad_input="fail")
