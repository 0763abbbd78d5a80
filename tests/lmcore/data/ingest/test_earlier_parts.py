"""Something is removed from a corpus that was read: only what holds it is read again."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.content_store import ContentStore
from lmcore.data.config import DataConfig, PolicyConfig, SourceConfig, TokenizerConfig
from lmcore.data.copies.removal import KEPT, MAX_SHIFT, NOTHING_REMOVED, Removal, Removals
from lmcore.data.copies.sketches import sketch_text
from lmcore.data.documents import DocumentSet, read_rows
from lmcore.data.ingest import ingest as module
from lmcore.data.ingest import part_task
from lmcore.data.ingest.earlier_parts import holds_removed
from lmcore.data.ingest.ingest import ingest
from lmcore.data.ingest.part_keys import part_keys
from lmcore.data.ingest.part_pool import reading_on
from lmcore.data.ingest.part_reading import Told, read_part
from lmcore.data.ingest.part_task import STEM, PartFolder, Task
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.text.cleaning import document_id
from lmcore.data.tokens.shards import write_shards
from lmcore.data.tokens.tokenizer import fit_tokenizer

FILES = (
    *("documents-00000.parquet", "ledger.json", "quarantine.jsonl", "personal.json"),
    "sources.json",
)
NUM_TEXTS = 90


def some_text(rng: random.Random) -> str:
    return " ".join(f"word{rng.randrange(900)}" for _ in range(rng.randrange(40, 80)))


def edited(text: str) -> str:
    """A near-copy: other words at two places."""
    words = text.split()
    words[3], words[-4] = "another", "elsewhere"
    return " ".join(words)


def removal(text: str, *, model: str | None = None, sketched: bool = True) -> Removal:
    sketch = sketch_text(text, kept=KEPT, max_shift=MAX_SHIFT) if sketched else None
    return Removal(
        document=document_id(text),
        sketch=sketch,
        reason="asked",
        who="ada",
        at="2026-03-01T00:00:00+00:00",
        model=model,
    )


@dataclass
class Corpus:
    """Lines of a file, read in so many parts.

    Attributes:
        read: Records that were read, by whom, since it was last cleared.
    """

    path: Path
    num_parts: int
    read: list[int] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)

    def ingested(self, home: Path, removals: Removals = NOTHING_REMOVED) -> DocumentSet:
        size = self.path.stat().st_size
        part_bytes = size * 2 if self.num_parts == 1 else size // self.num_parts

        def store(**options: Any) -> part_task.PartStore:
            return part_task.PartStore(**options, part_bytes=part_bytes)

        with pytest.MonkeyPatch.context() as patch, reading_on(self._counting):
            patch.setattr(module, "WORTH_BYTES", 0)
            patch.setattr(module, "PartStore", store)
            return ingest(
                ContentStore(home / "content"),
                sources=[SourceConfig(path=str(self.path))],
                # Enough on each side that none is empty without what is removed.
                data=DataConfig(
                    max_quarantine_share=0.5, validation_fraction=0.3, tune_fraction=0.2
                ),
                policy=PolicyConfig(),
                ledger=SplitLedger(home / "split.sqlite"),
                removals=removals,
            )

    def _counting(self, tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
        self.tasks = list(tasks)
        for task in tasks:
            yield read_part(task, told=self.read.append)


def corpus(folder: Path, texts: Sequence[str], *, num_parts: int) -> Corpus:
    path = folder / "texts.jsonl"
    lines = [json.dumps({"text": text}) for text in texts]
    path.write_text("\n".join([*lines, "no json"]) + "\n")
    return Corpus(path=path, num_parts=num_parts)


def parts(home: Path, found: DocumentSet) -> list[PartFolder]:
    root = home / "content" / "part"
    return [PartFolder.open(root / key[:32]) for key in part_keys(found.path)]


def texts_in(folder: Path, stem: str = STEM) -> list[str]:
    return [
        text for group in read_rows(folder, columns=("text",), stem=stem) for text in group["text"]
    ]


def ledger(home: Path) -> list[Any]:
    with closing(sqlite3.connect(home / "split.sqlite")) as file:
        return [
            file.execute("SELECT * FROM document ORDER BY id").fetchall(),
            file.execute("SELECT * FROM appointment ORDER BY anchor").fetchall(),
        ]


def outcome(home: Path, found: DocumentSet) -> dict[str, Any]:
    """All that a run goes on with, to the last bit."""
    store = ContentStore(home / "content")
    fitted = fit_tokenizer(store, found, config=TokenizerConfig(kind="byte"))
    shards = write_shards(store, found, fitted)
    return {
        "key": found.key,
        "summary": dict(found.summary),
        "ledger": ledger(home),
        **{name: (found.path / name).read_bytes() for name in FILES},
        **{p.name: p.read_bytes() for p in shards.path.glob("*.npy")},
    }


def cold(home: Path, fresh: Path) -> Path:
    """A home with the same sides, and nothing else."""
    fresh.mkdir()
    shutil.copy(home / "split.sqlite", fresh)
    return fresh


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32), erased=st.booleans())
@pytest.mark.parametrize("num_parts", [1, 2, 7])
def test_what_comes_of_it_is_what_a_cold_start_gives(
    num_parts: int, seed: int, erased: bool
) -> None:
    rng = random.Random(seed)
    texts = [some_text(rng) for _ in range(NUM_TEXTS)]
    asked, copied = rng.sample(range(NUM_TEXTS), 2)
    copy_at, again_at = rng.sample([n for n in range(NUM_TEXTS) if n not in (asked, copied)], 2)
    texts[copy_at], texts[again_at] = edited(texts[asked]), texts[asked]
    removals = Removals.of([removal(texts[asked]), removal(texts[copied], sketched=False)])
    gone = {texts[n] for n in (asked, copied, copy_at)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job, home = corpus(folder, texts, num_parts=num_parts), folder / "home"
        before = job.ingested(home)
        fresh = cold(home, folder / "fresh")
        was = parts(home, before)
        assert len(was) == num_parts
        assert sum(job.read) == NUM_TEXTS + 1
        holding = [part for part in was if holds_removed(part.path, removals)]
        assert 0 < len(holding) <= 4
        for part in holding if erased else ():  # as `lmcore forget` does
            shutil.rmtree(part.path)
        job.read.clear()
        after = job.ingested(home, removals)
        assert sum(job.read) == sum(part.summary["records"] for part in holding)
        kept = set(texts_in(after.path, "documents"))
        assert kept == set(texts) - gone
        assert after.account()["dropped"]["removed"]["documents"] == 4
        assert not [p for p in parts(home, after) if gone & set(texts_in(p.path))]
        assert outcome(home, after) == outcome(fresh, job.ingested(fresh, removals))
        # Once more: nothing is new.
        shutil.rmtree(after.path)
        job.read.clear()
        assert job.ingested(home, removals).key == after.key
        assert job.read == []


@pytest.fixture
def job(tmp_path: Path) -> Corpus:
    rng = random.Random(5)
    return corpus(tmp_path, [some_text(rng) for _ in range(NUM_TEXTS)], num_parts=7)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_removal_of_what_nobody_reads_reads_nothing(job: Corpus, home: Path) -> None:
    before = job.ingested(home)
    job.read.clear()
    after = job.ingested(home, Removals.of([removal("a text of somebody else " * 20)]))
    assert job.read == []
    assert texts_in(after.path, "documents") == texts_in(before.path, "documents")
    # The bytes lie there once.
    for old, new in zip(parts(home, before), parts(home, after), strict=True):
        assert old.path != new.path
        assert (new.path / f"{STEM}-00000.parquet").samefile(old.path / f"{STEM}-00000.parquet")


def test_what_was_removed_for_one_model_is_read_for_another(job: Corpus, home: Path) -> None:
    everything = set(texts_in(job.ingested(home / "elsewhere").path, "documents"))
    first, *_, last = sorted(everything)
    own = Removals.of([removal(first, model="a")])
    assert set(texts_in(job.ingested(home, own).path, "documents")) == everything - {first}
    job.read.clear()
    assert set(texts_in(job.ingested(home).path, "documents")) == everything
    one_part = sum(job.read)
    assert 0 < one_part < NUM_TEXTS / 3
    # Both know what they read.
    job.read.clear()
    both = Removals.of([*own.entries, removal(last)])
    assert set(texts_in(job.ingested(home, both).path, "documents")) == everything - {first, last}
    assert 0 < sum(job.read) < NUM_TEXTS / 3


@pytest.mark.parametrize("what", ["file", "manifest", "notes"])
def test_what_is_damaged_is_read(job: Corpus, home: Path, what: str) -> None:
    before = job.ingested(home)
    damaged = parts(home, before)[3]
    if what == "file":
        path = damaged.path / f"{STEM}-00000.parquet"
        whole = path.read_bytes()
        path.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    elif what == "manifest":
        (damaged.path / "manifest.json").write_text("{}")
    else:
        job.tasks[3].variants.write_bytes(b"\xff../../elsewhere\nno key\n")
    job.read.clear()
    after = job.ingested(home, Removals.of([removal("a text of somebody else " * 20)]))
    assert sum(job.read) == damaged.summary["records"]
    assert texts_in(after.path, "documents") == texts_in(before.path, "documents")


def test_without_links_files_are_copied(
    job: Corpus, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    before = job.ingested(home)
    monkeypatch.setattr(os, "link", refused)
    job.read.clear()
    after = job.ingested(home, Removals.of([removal("a text of somebody else " * 20)]))
    assert job.read == []
    assert texts_in(after.path, "documents") == texts_in(before.path, "documents")


def test_a_task_weighs_the_same_however_much_was_removed(job: Corpus, home: Path) -> None:
    rng = random.Random(1)
    weights = []
    for number in (1, 60):
        job.ingested(home, Removals.of([removal(some_text(rng)) for _ in range(number)]))
        weights.append([len(pickle.dumps(task)) for task in job.tasks])
    assert weights[0] == weights[1]


def test_a_look_names_what_is_known_too(job: Corpus, home: Path) -> None:
    part = parts(home, job.ingested(home))[0]
    known = document_id(texts_in(part.path)[0])
    assert not holds_removed(part.path, NOTHING_REMOVED)
    assert not holds_removed(part.path, NOTHING_REMOVED, {"0" * 64})
    assert holds_removed(part.path, NOTHING_REMOVED, {known})
