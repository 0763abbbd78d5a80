"""A content store in which two document sets were made into tokens, and tokens into a model."""

import hashlib
import json
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from flows.commands.shared import erasure
from flows.commands.shared.erasure import erase
from flows.home.environment import Home, make_home
from flows.home.locks import BusyError
from flows.retention.deletion import content_lock
from flows.steps.ingest_documents import fingerprint, ingest_documents
from lmcore.config import parse_config
from lmcore.content_store import ContentStore, Handle
from lmcore.data.copies.removal import NOTHING_REMOVED, Removal, Removals, add_removals
from lmcore.data.copies.sketches import sketch_text
from lmcore.data.documents import Document, DocumentSet, RowWriter
from lmcore.data.ingest import ingest
from lmcore.data.ingest.part_keys import PART_KIND
from lmcore.data.ingest.part_pool import reading_on
from lmcore.data.ingest.part_reading import Told, read_part
from lmcore.data.ingest.part_task import STEM, PartFolder, PartStore, Task
from lmcore.data.requests.lines import Asked
from lmcore.data.requests.parts import ASKED, PartWriter, read_lines
from lmcore.manifest import MANIFEST, Manifest

LETTER = " ".join(f"a{number}" for number in range(300))
COPY = f"{LETTER[:-60]} and then it ended in another way altogether"
STRANGER = " ".join(f"b{number}" for number in range(300))


def asked(text: str) -> Asked:
    return Asked(
        id="a",
        index=0,
        at="2026-03-01T00:00:00+00:00",
        client="shop",
        version=1,
        task="language_modelling",
        text=text,
    )


class Shards(Handle):
    kind = "shards"


class Checkpoint(Handle):
    kind = "checkpoint"


class Part(Handle):
    kind = PART_KIND


def identity(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def document(text: str) -> Document:
    return Document(
        id=identity(text),
        text=text,
        name="letter.txt",
        source=0,
        license="CC0-1.0",
        origin="a test",
        num_bytes=len(text.encode()),
        split="train",
        anchor=False,
        cluster=identity(text),
    )


def removal(text: str) -> Removal:
    at = "2026-03-01T00:00:00+00:00"
    return Removal(
        document=identity(text), sketch=sketch_text(text), reason="asked", who="ada", at=at
    )


class Content:
    """Folders of a home."""

    def __init__(self, home: Home) -> None:
        self.home, self.store = home, ContentStore(home.content)

    def documents(self, texts: Sequence[str]) -> DocumentSet:
        def make(folder: Path) -> None:
            with RowWriter(folder) as writer:
                for text in texts:
                    writer.add_document(document(text))

        return self.store.build(DocumentSet, {"texts": [identity(t) for t in texts]}, make)

    def part(self, texts: Sequence[str]) -> Part:
        schema = pa.schema([("id", pa.binary(32)), ("text", pa.large_string())])

        def make(folder: Path) -> None:
            with RowWriter(folder, schema=schema, stem=STEM) as writer:
                for text in texts:
                    writer.add(bytes.fromhex(identity(text)), text, num_bytes=len(text))

        return self.store.build(Part, {"texts": [identity(t) for t in texts]}, make)

    def made_from(self, kind: type[Handle], *inputs: Any) -> Handle:
        def make(folder: Path) -> None:
            (folder / "file").write_text("made")

        return self.store.build(kind, {"inputs": inputs}, make)


@pytest.fixture
def content(tmp_path: Path) -> Content:
    return Content(make_home(tmp_path / "home"))


def test_nothing_is_deleted_where_nothing_is_to_be_forgotten(content: Content) -> None:
    documents = content.documents([LETTER, STRANGER])
    assert erase(content.home, NOTHING_REMOVED) == []
    assert erase(content.home, Removals.of([removal("another text " * 50)])) == []
    assert documents.path.exists()


@pytest.mark.parametrize("held", [LETTER, COPY])
def test_what_holds_a_removed_text_goes_with_all_that_was_made_from_it(
    content: Content, held: str
) -> None:
    doomed, kept = content.documents([STRANGER, held]), content.documents([STRANGER])
    shards = content.made_from(Shards, {"documents": [doomed.key]})
    model = content.made_from(Checkpoint, shards.key)
    others = [content.made_from(Shards, {"documents": [kept.key]}), content.made_from(Checkpoint)]
    deleted = erase(content.home, Removals.of([removal(LETTER)]))
    assert set(deleted) == {doomed.path, shards.path, model.path}
    assert not [path for path in deleted if path.exists()]
    assert [handle.path.exists() for handle in (kept, *others)] == [True] * 3
    assert erase(content.home, Removals.of([removal(LETTER)])) == []


@pytest.mark.parametrize("held", [LETTER, COPY])
def test_parts_go_that_hold_it_and_no_others(content: Content, held: str) -> None:
    doomed, kept = content.part([STRANGER, held]), content.part([STRANGER])
    assert erase(content.home, Removals.of([removal(LETTER)])) == [doomed.path]
    assert not doomed.path.exists()
    assert kept.path.exists()
    # What another removal of before, or of another home, did not reach is reached now.
    anything = Removals.of([removal(STRANGER)])
    assert erase(content.home, NOTHING_REMOVED, in_force=anything) == [kept.path]


def test_a_part_that_nobody_can_read_goes(content: Content) -> None:
    part = content.part([STRANGER])
    (part.path / f"{STEM}-00000.parquet").write_bytes(b"no Parquet")
    known = {identity(LETTER)}
    assert erase(content.home, NOTHING_REMOVED, known=known) == [part.path]


def test_the_next_ingest_reads_only_what_was_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [" ".join(f"c{text}w{number}" for number in range(80)) for text in range(60)]
    texts[20], texts[50] = LETTER, COPY
    path = tmp_path / "letters.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    monkeypatch.setattr(ingest, "WORTH_BYTES", 0)
    monkeypatch.setattr(
        ingest, "PartStore", lambda **options: PartStore(**options, part_bytes=3_000)
    )
    config = parse_config(
        {"name": "letters", "sources": [{"path": str(path), "license": "CC0-1.0"}]}, where="test"
    )
    home, found, read = make_home(tmp_path / "home"), fingerprint(config), list[int]()

    def counting(tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
        return (read_part(task, told=read.append) for task in tasks)

    with reading_on(counting):
        before = ingest_documents(config, found, home)
        assert sum(read) == len(texts)
        read.clear()
        removals = add_removals(home.removals, [removal(LETTER)])
        parts = set(home.content.glob(f"{PART_KIND}/[!.]*"))
        erased = set(erase(home, removals, in_force=removals))
        assert before.path in erased
        assert len(erased & parts) == 2
        assert not _lying(home) & {LETTER, COPY}
        after = ingest_documents(config, found, home)
    assert 0 < sum(read) < 0.3 * len(texts)
    assert {d.text for d in after.iter_documents()} == set(texts) - {LETTER, COPY}
    assert not _lying(home) & {LETTER, COPY}


def _lying(home: Home) -> set[str]:
    """Every text that lies in the content of a home."""
    return {
        text
        for path in home.content.rglob("*.parquet")
        for text in pq.read_table(path).column("text").to_pylist()
    }


def test_documents_that_are_known_to_fall_under_a_removal_need_not_be_like_it(
    content: Content,
) -> None:
    documents = content.documents([STRANGER])
    assert erase(content.home, NOTHING_REMOVED, known={identity(LETTER)}) == []
    assert erase(content.home, NOTHING_REMOVED, known={identity(STRANGER)}) == [documents.path]


def test_what_nobody_can_read_is_not_kept(content: Content) -> None:
    without = content.documents([STRANGER]).path
    (without / MANIFEST).unlink()
    broken = content.home.content / "documents" / ("b" * 32)
    broken.mkdir()
    (broken / "documents-00000.parquet").write_bytes(b"no Parquet")
    Manifest.write(broken, kind="documents", inputs={})
    assert set(erase(content.home, NOTHING_REMOVED)) == {without, broken}


def test_what_killed_processes_left_goes_too(content: Content) -> None:
    partial = content.home.content / "documents" / f".{'e' * 32}.partial"
    unregistered, points = content.home.work / "version-1", content.home.work / "points"
    for folder in (partial, unregistered, points):
        folder.mkdir(parents=True)
    assert erase(content.home, NOTHING_REMOVED) == [partial, unregistered]
    assert [folder.exists() for folder in (partial, unregistered, points)] == [False, False, True]


def test_a_folder_that_is_being_made_is_said_to_hold_it_still(
    content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "_LOCK_SECONDS", 0.05)
    documents = content.documents([LETTER])
    with (
        FileLock(content_lock(documents.path)),
        pytest.raises(BusyError, match=r"another process is making it.* still holds it"),
    ):
        erase(content.home, Removals.of([removal(LETTER)]))
    assert documents.path.exists()
    assert erase(content.home, Removals.of([removal(LETTER)])) == [documents.path]


def test_what_a_server_has_not_ended_is_looked_through_too(
    content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = content.home.requests / "letters" / ASKED
    writer, over = PartWriter(folder), threading.Event()
    for text in (LETTER, STRANGER):
        writer.add(asked(text))

    def serve() -> None:
        while not over.wait(0.01):
            writer.seal_if_due()

    server = threading.Thread(target=serve)
    with monkeypatch.context() as patch:
        patch.setattr(erasure, "_SEAL_SECONDS", 0.0)
        with pytest.raises(BusyError, match="does not end its file"):
            erase(content.home, Removals.of([removal(LETTER)]))
    server.start()
    try:
        erase(content.home, Removals.of([removal(LETTER)]))
    finally:
        over.set()
        server.join()
    assert [line.text for line in read_lines(folder) if isinstance(line, Asked)] == [STRANGER]
    assert all(LETTER.encode() not in path.read_bytes() for path in folder.iterdir())


def test_nothing_of_what_homes_share_is_left(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home", environ={"LMCORE_CONTENT": str(tmp_path / "shared")})
    assert home.shared is not None
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "text").write_text("of a home that is elsewhere")
    for place in ("content/documents/1", "work/2", "sides/3"):
        home.shared.publish(place, folder)
    erase(home, NOTHING_REMOVED)
    held = {area: home.shared.places(area) for area in ("content/documents", "work", "sides")}
    assert held == {"content/documents": [], "work": [], "sides": ["3"]}
