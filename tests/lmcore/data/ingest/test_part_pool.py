"""Whoever reads the parts, in whatever order: the same documents, to the last bit."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig
from lmcore.data.copies.removal import KEPT, MAX_SHIFT, Removal, Removals
from lmcore.data.copies.sketches import sketch_text
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest import ingest as module
from lmcore.data.ingest import part_pool, part_task
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.part_pool import read_here, read_in_processes, reading_on
from lmcore.data.ingest.part_reading import Told, read_part
from lmcore.data.ingest.part_task import PartFolder, Task
from lmcore.data.ingest.split import SplitLedger
from lmcore.errors import SourceError

SALT_FREE = ("documents-00000.parquet", "ledger.json", "quarantine.jsonl", "personal.json")


@pytest.fixture
def corpus(tmp_path: Path) -> list[SourceConfig]:
    """Two sources: a file of lines with copies, odd lines and personal data, and small files."""
    rng = random.Random(0)
    words = [f"word{n}" for n in range(300)]

    def text() -> str:
        return " ".join(rng.choices(words, k=rng.randrange(20, 60)))

    texts = [text() for _ in range(240)]
    texts[50] = texts[10]
    texts[199] = texts[120] + " and a little more"
    texts[60] += " write to ann@example.org"
    lines = [json.dumps({"text": one, "date": "2025-01-01"}) for one in texts]
    lines[30], lines[180] = "no json", '{"text": "  "}'
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "files").mkdir()
    for number in range(60):
        (tmp_path / "files" / f"{number:02}.txt").write_text(text())
    (tmp_path / "files" / "07.txt").write_text(texts[3])
    (tmp_path / "files" / "08.txt").write_bytes(b"\xff\xfe\x00broken\x00")
    return [SourceConfig(path=str(tmp_path / name)) for name in ("a.jsonl", "files")]


def made(root: Path, corpus: list[SourceConfig], **options: Any) -> dict[str, bytes]:
    """Files of the documents of a corpus, made in a home of its own."""
    found = ingested(root, corpus, **options)
    return {name: (found.path / name).read_bytes() for name in SALT_FREE}


def ingested(root: Path, corpus: list[SourceConfig], **options: Any) -> DocumentSet:
    return ingest(
        ContentStore(root / "content"),
        sources=corpus,
        data=DataConfig(max_quarantine_share=0.5),
        policy=PolicyConfig(),
        ledger=SplitLedger(root / "split.sqlite"),
        **options,
    )


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes parts small, and kept whatever the corpus."""

    def cut(part_bytes: int) -> None:
        monkeypatch.setattr(module, "WORTH_BYTES", 0)
        monkeypatch.setattr(
            module, "PartStore", lambda **kw: part_task.PartStore(**kw, part_bytes=part_bytes)
        )

    return cut


def shuffled(tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
    """Reads them in any order, one twice and one again after it was lost."""
    order = list(tasks)
    random.Random(1).shuffle(order)
    folders = {task.folder: read_part(task, told=told) for task in order}
    folders[order[0].folder] = read_part(order[0])
    lost = order[-1]
    for path in lost.folder.iterdir():
        path.unlink()
    lost.folder.rmdir()
    folders[lost.folder] = read_part(lost)
    yield from [folders[task.folder] for task in tasks]


def test_the_result_depends_neither_on_the_number_of_parts_nor_on_who_reads_them(
    tmp_path: Path, corpus: list[SourceConfig], small_parts: Any
) -> None:
    whole = made(tmp_path / "whole", corpus)
    for part_bytes in (100, 3000, 20_000, 1 << 20):
        small_parts(part_bytes)
        with reading_on(shuffled):
            assert made(tmp_path / f"parts-{part_bytes}", corpus) == whole


@pytest.mark.slow
def test_processes_read_what_one_does_and_are_gone_afterwards(
    tmp_path: Path, corpus: list[SourceConfig], small_parts: Any
) -> None:
    gone = json.loads((tmp_path / "a.jsonl").read_text().splitlines()[3])["text"]
    sketch = sketch_text(gone, kept=KEPT, max_shift=MAX_SHIFT)
    removals = Removals.of(
        [Removal(document="0" * 64, sketch=sketch, reason="asked", who="ada", at="2026-03-01")]
    )
    whole = made(tmp_path / "whole", corpus, removals=removals)
    assert json.loads(whole["ledger.json"])["dropped"]["removed"]["documents"] == 2
    small_parts(3000)
    counts: list[int] = []
    with reading_on(read_in_processes(2)):
        found = made(
            tmp_path / "two",
            corpus,
            removals=removals,
            progress=lambda label, n: counts.append(n),
        )
    assert found == whole
    assert counts
    left = [p for p in psutil.Process().children(recursive=True) if "loky" in " ".join(_line(p))]
    assert not [p for p in left if "popen_loky" in " ".join(_line(p))]


def _line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_what_is_new_is_what_is_read(
    tmp_path: Path, corpus: list[SourceConfig], small_parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_parts(2000)
    read: list[int] = []

    def counting(tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
        for task in tasks:
            if not task.folder.exists():
                read.append(task.part.num_bytes)
            yield read_part(task, told=told)

    with reading_on(counting):
        ingested(tmp_path / "home", corpus)
        everything = sum(read)
        read.clear()
        (tmp_path / "files" / "30a.txt").write_text("a new text of some words " * 9)
        with (tmp_path / "a.jsonl").open("a") as lines:
            lines.write(json.dumps({"text": "one more line", "date": "2025-02-01"}) + "\n")
        again = ingested(tmp_path / "home", corpus)
    assert 0 < sum(read) < 0.35 * everything
    cold = ingested(tmp_path / "cold", corpus)
    assert [d.id for d in again.iter_documents()] == [d.id for d in cold.iter_documents()]


def test_a_kill_repeats_only_what_was_not_finished(
    tmp_path: Path, corpus: list[SourceConfig], small_parts: Any
) -> None:
    small_parts(2000)
    done = 0

    def breaks(tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
        nonlocal done
        for number, task in enumerate(tasks):
            if number == 5:
                raise KeyboardInterrupt
            yield read_part(task, told=told)
            done += 1

    with reading_on(breaks), pytest.raises(KeyboardInterrupt):
        ingested(tmp_path / "home", corpus)
    missing: list[bool] = []

    def looks(tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
        missing.extend(not task.folder.exists() for task in tasks)
        return read_here(tasks, told)

    with reading_on(looks):
        found = made(tmp_path / "home", corpus)
    assert missing[:5] == [False] * 5
    assert all(missing[5:])
    assert found == made(tmp_path / "fresh", corpus)


@pytest.mark.slow
def test_a_process_that_is_ended_from_outside_ends_the_run_in_one_sentence(
    tmp_path: Path, corpus: list[SourceConfig], small_parts: Any
) -> None:
    small_parts(500)

    def kill(label: str, number: int) -> None:
        for child in psutil.Process().children(recursive=True):
            if "popen_loky" in " ".join(_line(child)):
                child.send_signal(signal.SIGKILL)

    with (
        reading_on(read_in_processes(2)),
        pytest.raises(SourceError, match=r"was ended from outside.*the same command goes on"),
    ):
        ingested(tmp_path / "home", corpus, progress=kill)
    assert made(tmp_path / "home", corpus) == made(tmp_path / "fresh", corpus)


@pytest.mark.slow
def test_an_error_in_a_process_is_told_as_it_is(
    tmp_path: Path, corpus: list[SourceConfig], small_parts: Any
) -> None:
    small_parts(3000)
    bad = [source.model_copy(update={"text_field": "nothing"}) for source in corpus]
    told: list[str] = []
    for pool in (read_here, read_in_processes(2)):
        with reading_on(pool), pytest.raises(SourceError) as error:
            ingested(tmp_path / str(len(told)), bad)
        told.append(str(error.value))
    assert told[0] == told[1]


def test_a_part_that_is_damaged_or_just_removed_is_read_again(
    tmp_path: Path, corpus: list[SourceConfig], small_parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_parts(2000)
    ingested(tmp_path / "home", corpus)
    (tmp_path / "files" / "30a.txt").write_text("a new text of some words " * 9)
    damaged = next((tmp_path / "home" / "content" / "part").glob("[!.]*"))
    (damaged / "tally.json").write_text("{}")
    opened: list[Path] = []

    def removed_at_first(path: Path) -> PartFolder:
        opened.append(path)
        if len(opened) == 1:
            raise FileNotFoundError(path)
        return whole(path)

    whole = PartFolder.open
    monkeypatch.setattr(PartFolder, "open", removed_at_first)
    again = list(ingested(tmp_path / "home", corpus).iter_documents())
    assert opened.count(opened[0]) == 2
    assert again == list(ingested(tmp_path / "fresh", corpus).iter_documents())


def test_small_corpora_begin_no_process(
    tmp_path: Path, corpus: list[SourceConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(workers: int) -> Any:
        raise AssertionError

    monkeypatch.setattr(part_pool, "read_in_processes", never)
    found = ingested(tmp_path / "home", corpus)
    assert not (tmp_path / "home" / "content" / "part").exists()
    assert found.summary["documents"] > 200
