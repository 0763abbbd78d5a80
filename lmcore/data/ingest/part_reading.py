"""Read, clean, mask and sketch one part: its bytes and the settings in, a content folder out.

Nothing here knows of other parts: whether a text was there before, which side of the split it is
on, and how many documents a source has, is decided when all are there
(`lmcore.data.ingest.reading_pass`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from lmcore.arrow_memory import share_memory
from lmcore.content_store import ContentStore
from lmcore.data.copies.deduplication import SignatureBatch, sketch
from lmcore.data.copies.removal import Removal
from lmcore.data.copies.shingles import folded_shingles
from lmcore.data.documents import RowWriter
from lmcore.data.ingest.earlier_parts import note_made, take_over
from lmcore.data.ingest.part_task import (
    LEFT_OUT,
    QUARANTINE_FILE,
    SIGNATURES_FILE,
    STEM,
    TALLY_FILE,
    PartFolder,
    Task,
    salt_of,
)
from lmcore.data.ingest.readability import Readability
from lmcore.data.ingest.reading_counts import WITHOUT_DATE, Tally, name_of
from lmcore.data.sources.readers import read_files, read_stretch
from lmcore.data.sources.records import BadInput, Item, LeftOut, Opened, Record
from lmcore.data.text.cleaning import UnusableTextError, clean, document_id, utf8_bytes
from lmcore.data.text.folding import fold, folded_form, is_blank
from lmcore.data.text.masking import DocumentMasking
from lmcore.errors import SourceError

Watch = Callable[[int, Item], None]
#: Told how many records came since it was last told; raises to end the reading.
Told = Callable[[int], None]
REPORT_EVERY = 1000
#: Why a text was dropped that somebody asked to forget.
REMOVED = "removed"
SCHEMA = pa.schema(
    [
        ("id", pa.binary(32)),
        ("form", pa.binary()),
        ("sketch", pa.binary()),
        ("num_bytes", pa.int64()),
        ("file", pa.string()),
        ("position", pa.int64()),
        ("text", pa.large_string()),
        ("date", pa.string()),
        ("target", pa.large_string()),
    ]
)


def read_part(task: Task, *, told: Told | None = None, watch: Watch | None = None) -> PartFolder:
    """Read a part, or open the folder that it came to before, or take over what serves as well.

    Args:
        task: What to read.
        told: See `Told`.
        watch: Called with the number of the source and each piece that is read.

    Raises:
        SourceError: As `read_files`; with `on_bad_input: fail`, for any bad input.
    """
    share_memory()
    store = ContentStore(task.store.root)

    def make(folder: Path) -> Mapping[str, Any]:
        note_made(task)
        if (summary := take_over(task, folder)) is not None:
            return summary
        with _Reading(folder, task, told=told, watch=watch) as reading:
            return reading.run()

    return store.build(PartFolder, task.inputs, make)


class _Reading:
    """One part on its way into its folder."""

    def __init__(self, folder: Path, task: Task, *, told: Told | None, watch: Watch | None) -> None:
        self._folder, self._data, self._part = folder, task.data, task.part
        self._removals = task.removals.read()
        self._told = told or (lambda records: None)
        self._watch = watch or (lambda source, item: None)
        self._masking = DocumentMasking.of(task.data)
        self._tally = Tally(folder / QUARANTINE_FILE, salt=salt_of(task.data))
        self._readability = Readability()
        self._writer = RowWriter(folder, schema=SCHEMA, stem=STEM)
        self._batch = SignatureBatch() if task.data.near_duplicates else None
        self._signatures = (folder / SIGNATURES_FILE).open("wb")
        self._condemned: list[tuple[int, int]] = []
        self._left_out: dict[int, Removal] = {}
        self._lines = 0
        self._rows = 0

    def __enter__(self) -> _Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._signatures.close()
        self._writer.close()
        self._tally.__exit__()

    def run(self) -> dict[str, Any]:
        """Read all of it; returns the summary."""
        self._read(self._items())
        if self._batch is not None:
            self._signatures.write(self._batch.flush())
        state = {
            **self._tally.state(),
            "readability": self._readability.state(),
            "condemned": self._condemned,
        }
        (self._folder / TALLY_FILE).write_text(json.dumps(state), encoding="utf-8")
        records = self._readability.records
        left_out = sorted({removal.id for removal in self._left_out.values()})
        return {"records": records, "texts": self._rows, "lines": self._lines, LEFT_OUT: left_out}

    def _items(self) -> Iterator[Item]:
        part = self._part
        if part.stretch is None:
            yield from read_files(part.located, data=self._data, unit=part.unit)
            return
        (file,) = part.located.files

        def count(lines: int) -> None:
            self._lines = lines

        yield from read_stretch(
            file,
            (part.stretch.start, part.stretch.stop),
            config=part.located.config,
            data=self._data,
            on_lines=count,
        )

    def _read(self, items: Iterable[Item]) -> None:
        files = {file.name for file in self._part.located.files}
        number = self._part.source
        last_name, last_file, first_row = "", "", 0
        opened, opened_row = "", 0
        since = 0
        for item in items:
            self._watch(number, item)
            if isinstance(item, LeftOut | Opened):
                self._tally.skipped([item] if isinstance(item, LeftOut) else [])
                if isinstance(item, Opened):
                    opened, opened_row = item.file, self._rows
                continue
            self._tally.record()
            self._readability.record(item.file)
            if item.file != last_name:
                # A member of an archive belongs to the archive: all of it goes with a bomb.
                last_name, file = item.file, _file_of(item.file, files)
                if file != last_file:
                    last_file, first_row = file, self._rows
            if isinstance(item, BadInput):
                if item.condemns_file:
                    # A bomb condemns its archive, a member that is too much to read only itself.
                    self._condemn(opened_row if item.file == opened else first_row)
                self._quarantine(item)
            elif (bad := self._stage(item)) is not None:
                self._watch(number, bad)
                self._quarantine(bad)
            since += 1
            if since == REPORT_EVERY:
                self._told(since)
                since = 0
        self._told(since)

    def _condemn(self, row: int) -> None:
        """Drop every text from this row on, of a file that turned out to be a bomb."""
        gone = 0
        while self._condemned and self._condemned[-1][0] >= row:
            start, stop = self._condemned.pop()
            gone += stop - start
        self._tally.drop("of_a_condemned_file", self._rows - row - gone, 0)
        self._condemned.append((row, self._rows))

    def _quarantine(self, item: BadInput) -> None:
        self._readability.quarantine(item)
        where = name_of(item.file, item.position)
        if self._data.on_bad_input == "fail":
            raise SourceError(
                f"{where}: {item.reason}; mend or remove it, or set data.on_bad_input: quarantine"
            )
        self._tally.quarantine(item)

    def _stage(self, record: Record) -> BadInput | None:
        """Write a record's text; returns it as bad input where its text cannot be used."""
        data, tally = self._data, self._tally
        try:
            text, size = self._clean(record.text)
            target = None
            if record.target is not None:
                target, _ = self._clean(record.target, is_target=True)
            if size > data.max_document_bytes:
                raise UnusableTextError(
                    f"{size} bytes, more than data.max_document_bytes={data.max_document_bytes}"
                )
        except UnusableTextError as error:
            return BadInput(file=record.file, position=record.position, reason=str(error))
        if is_blank(text) or (target is not None and is_blank(target)):
            tally.drop("empty", 1, size)
        elif size < data.min_document_bytes:
            tally.drop("shorter_than_min_document_bytes", 1, size)
        elif data.as_of and record.date is None:  # nobody can say that it is not later
            tally.drop(WITHOUT_DATE, 1, size, place=(record.file, record.position))
        elif data.as_of and record.date and record.date > data.as_of.isoformat():
            tally.drop("later_than_as_of", 1, size)
        elif (removal := self._removals.match(identity := document_id(text), text)) is not None:
            self._left_out[id(removal)] = removal
            tally.drop(REMOVED, 1, size)
        else:
            self._write(record, identity=identity, text=text, size=size, target=target)
        return None

    def _write(
        self, record: Record, *, identity: str, text: str, size: int, target: str | None
    ) -> None:
        folded = fold(text)
        sample = b""
        if self._batch is not None:
            hashes = folded_shingles(folded)
            sample = sketch(hashes).tobytes()
            self._signatures.write(self._batch.add(hashes))
        self._writer.add(
            bytes.fromhex(identity),
            folded_form(folded),
            sample or None,
            size,
            record.file,
            record.position,
            text,
            record.date,
            target,
            num_bytes=size + len(target or ""),
        )
        self._rows += 1

    def _clean(self, text: str, *, is_target: bool = False) -> tuple[str, int]:
        cleaned = clean(text)
        if not is_target:
            self._tally.cleaned(cleaned)
        masked = self._masking.find(cleaned.text)
        self._tally.found(masked)
        if self._masking.keeps:
            return cleaned.text, cleaned.num_bytes
        self._tally.masked(masked)
        return masked.text, utf8_bytes(masked.text) if masked.counts else cleaned.num_bytes


def _file_of(name: str, files: set[str]) -> str:
    """The file that a member belongs to; the name itself for a file."""
    while name not in files and "/" in name:
        name = name.rpartition("/")[0]
    return name
