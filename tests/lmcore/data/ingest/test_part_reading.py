"""What comes of one part, and what it depends on."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.copies.removal import NOTHING_REMOVED, Removal, Removals
from lmcore.data.documents import read_rows
from lmcore.data.ingest.part_reading import read_part
from lmcore.data.ingest.part_task import STEM, PartFolder, PartStore, Task, salt_of
from lmcore.data.ingest.parts import cut
from lmcore.data.ingest.removals_file import RemovalsFile
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.text.cleaning import document_id
from lmcore.errors import SourceError

LINES = ["one", "write to ann@example.org", "  ", "one"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in LINES) + "no json\n")
    return path


def tasks(
    path: Path,
    *,
    part_bytes: int = 1 << 20,
    removals: Removals = NOTHING_REMOVED,
    data: dict[str, Any] | None = None,
    **source: Any,
) -> list[Task]:
    settings = DataConfig(**(data or {}))
    located = fingerprint_sources([SourceConfig(path=str(path), **source)]).sources
    store = PartStore(root=path.parent / "store")
    handed = RemovalsFile.write(removals, path.parent)
    return [
        Task(part=part, data=settings, removals=handed, store=store)
        for part in cut(located, data=settings, part_bytes=part_bytes)
    ]


def rows(part: PartFolder, *columns: str) -> list[tuple[Any, ...]]:
    groups = read_rows(part.path, columns=columns, stem=STEM)
    return [row for group in groups for row in zip(*(group[name] for name in columns), strict=True)]


def test_texts_counts_and_what_was_set_aside(file: Path) -> None:
    (task,) = tasks(file)
    seen: list[str] = []
    told: list[int] = []
    part = read_part(
        task, told=told.append, watch=lambda source, item: seen.append(type(item).__name__)
    )
    assert rows(part, "text", "file", "position", "num_bytes") == [
        ("one", "a.jsonl", 1, 3),
        ("write to <EMAIL>", "a.jsonl", 2, 16),
        ("one", "a.jsonl", 4, 3),  # whether it is a copy is not for one part to say
    ]
    assert rows(part, "id")[0] == (bytes.fromhex(document_id("one")),)
    tally = part.tally()
    assert tally["records"] == 5
    assert tally["dropped"] == {"empty": {"documents": 1, "bytes": 0}}
    assert tally["masked"] == {"EMAIL": 1}
    assert tally["condemned"] == []
    (bad,) = map(json.loads, (part.path / "quarantine.jsonl").read_text().splitlines())
    assert (bad["path"], bad["position"]) == ("a.jsonl", 5)
    assert seen == ["Opened", *["Record"] * 4, "BadInput"]
    assert sum(told) == 5


def test_it_is_read_once(file: Path) -> None:
    (task,) = tasks(file)
    assert not task.folder.exists()
    part = read_part(task)
    assert task.folder == part.path
    read: list[int] = []
    assert read_part(task, told=read.append).key == part.key
    assert read == []
    shutil.rmtree(part.path)
    read_part(task, told=read.append)
    assert sum(read) == 5


@pytest.mark.parametrize(
    ("change", "is_new"),
    [
        ({"license": "CC0-1.0", "origin": "here", "split": "train"}, False),
        ({"data": {"validation_fraction": 0.3, "near_duplicate_similarity": 0.9}}, False),
        ({"data": {"min_document_bytes": 3}}, True),
        ({"data": {"pii": "keep"}}, True),
        ({"text_field": "other"}, True),
        (
            {
                "removals": Removals.of(
                    [Removal(document="a" * 64, sketch=None, reason="r", who="w", at="2026")]
                )
            },
            True,
        ),
    ],
)
def test_what_concerns_single_texts_makes_a_part_and_nothing_else(
    file: Path, change: dict[str, Any], is_new: bool
) -> None:
    (plain,), (changed,) = tasks(file), tasks(file, **change)
    assert (plain.folder != changed.folder) == is_new


def test_the_same_bytes_elsewhere_are_the_same_part(file: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    shutil.copy(file, tmp_path / "b" / file.name)
    (here,), (there,) = tasks(file), tasks(tmp_path / "b" / file.name)
    assert here.folder.name == there.folder.name


def test_positions_of_a_stretch_count_from_its_beginning(file: Path) -> None:
    file.write_text("".join(json.dumps({"text": f"number {n}"}) + "\n" for n in range(90)))
    parts = [read_part(task) for task in tasks(file, part_bytes=500)]
    assert len(parts) > 3
    assert [row for part in parts for row in rows(part, "text")] == [
        (f"number {n}",) for n in range(90)
    ]
    assert sum(part.summary["lines"] for part in parts) == 90
    assert all(rows(part, "position")[0] == (1,) for part in parts)


def test_what_is_removed_is_not_written(file: Path) -> None:
    entry = Removal(document=document_id("one"), sketch=None, reason="r", who="w", at="2026")
    (task,) = tasks(file, removals=Removals.of([entry]))
    part = read_part(task)
    assert rows(part, "text") == [("write to <EMAIL>",)]
    assert part.tally()["dropped"]["removed"]["documents"] == 2
    content = b"".join(path.read_bytes() for path in part.path.glob(f"{STEM}-*"))
    assert b"one" not in content
    assert part.summary["left_out"] == [entry.id]


def test_the_first_bad_line_ends_it_where_that_is_asked_for(file: Path) -> None:
    (task,) = tasks(file, data={"on_bad_input": "fail"})
    with pytest.raises(SourceError, match=r"a\.jsonl:5: not JSON"):
        read_part(task)
    assert not task.folder.exists()


def test_the_salt_is_of_the_settings_and_not_of_the_text() -> None:
    assert salt_of(DataConfig()) == salt_of(DataConfig(validation_fraction=0.3))
    assert salt_of(DataConfig()) != salt_of(DataConfig(pii="keep"))
