"""A look at what a run would read: the reading pass itself, into a folder that is thrown away.

In: sources and settings as `ingest` takes them.  Out: what each file gave and how it
was read, everything that was set aside or left out with its reason, some documents as
they would be learnt, and the sentences with which a run would stop.  The same code reads
here and there, so the two cannot differ.  Nothing is remembered: no side of the split, no
document.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.copies.removal import NOTHING_REMOVED, Removals
from lmcore.data.documents import SPLITS
from lmcore.data.ingest.assignment import assign
from lmcore.data.ingest.language_counts import LanguageCounts
from lmcore.data.ingest.mapped_columns import blocks
from lmcore.data.ingest.part_task import PartStore
from lmcore.data.ingest.reading_pass import ReadingPass
from lmcore.data.ingest.removals_file import RemovalsFile
from lmcore.data.ingest.split import SplitLedger
from lmcore.data.ingest.staging import Staging
from lmcore.data.sources.located import fingerprint_sources
from lmcore.data.sources.records import BadInput, Item, LeftOut, Opened, Record
from lmcore.data.text.licences import normal_license
from lmcore.errors import SourceError

#: Beyond so many entries lists are cut, and say so.
MAX_ENTRIES = 100_000
NUM_SAMPLES = 5


@dataclass(kw_only=True)
class FileReading:
    """What one file (or member of an archive) gave.

    Attributes:
        source: Number of its source in the configuration.
        name: Relative to the source.
        format: How it was read; empty where it was not.
        encoding: Of its text.
        records: Texts that came out of it.
        set_aside: Pieces that could not be read.
    """

    source: int
    name: str
    format: str = ""
    encoding: str = ""
    records: int = 0
    set_aside: int = 0


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A document as it would be learnt."""

    name: str
    text: str
    target: str | None


@dataclass(kw_only=True)
class Preview:
    """What a run would read.

    Attributes:
        documents: Distinct texts that are kept.
        num_bytes: Of them.
        files: In reading order; the first `MAX_ENTRIES`.
        set_aside: What could not be read; the first `MAX_ENTRIES`.
        left_out: What was passed over; the first `MAX_ENTRIES`.
        samples: Some documents, spread over all.
        account: What happened to the rest, as in the ledger of a run.
        languages: As in the ledger: documents and bytes of each, and remarks.
        sides: Documents that would be on each side of a first split.
        stops: Why a run would not go on; empty if it would.
    """

    documents: int = 0
    num_bytes: int = 0
    files: list[FileReading] = field(default_factory=list)
    set_aside: list[BadInput] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    account: dict[str, Any] = field(default_factory=dict)
    languages: dict[str, Any] = field(default_factory=dict)
    sides: dict[str, int] = field(default_factory=dict)
    stops: list[str] = field(default_factory=list)


def preview(
    sources: Sequence[SourceConfig],
    *,
    data: DataConfig,
    removals: Removals = NOTHING_REMOVED,
    num_samples: int = NUM_SAMPLES,
) -> Preview:
    """Read the sources as a run would, and say what came of it.

    Raises:
        SourceError: If a source does not exist or lacks a named column.
        ConfigError: If a licence is no SPDX expression, or the model that finds names is not there.
    """
    for i, source in enumerate(sources):
        normal_license(source.license, key=f"sources[{i}].license")
    located = fingerprint_sources(sources).sources
    found = Preview()
    watch = _Watch(found)
    with tempfile.TemporaryDirectory(prefix="lmcore-preview-") as name:
        folder = Path(name)
        work = folder / "work"
        work.mkdir()
        job = ReadingPass(
            folder,
            located,
            data=data.model_copy(update={"on_bad_input": "quarantine"}),
            removals=RemovalsFile.write(removals, work),
            parts=PartStore(root=work),
            watch=watch,
        )
        staging = Staging(work, near_duplicates=data.near_duplicates)
        try:
            job.read_all(staging)
            found.documents = staging.num_rows
            found.num_bytes = watch.num_bytes
            found.account = job.tally.to_json()
            _look_at_texts(staging, found, data=data, num_samples=num_samples)
            # A run says that nothing is left before it says how much was set aside.
            if staging.num_rows == 0:
                found.stops = [job.tally.nothing_left([source.config for source in located])]
            else:
                found.stops = [refusal for refusal in job.refusals if refusal]
                _split(staging, found, data=data, ledger=SplitLedger(folder / "split.sqlite"))
        finally:
            staging.close()
    if data.on_bad_input == "fail" and found.set_aside:
        found.stops.append("data.on_bad_input: fail, and something cannot be read")
    return found


class _Watch:
    """Notes what comes of each file while it is read."""

    def __init__(self, found: Preview) -> None:
        self._found = found
        self._file: FileReading | None = None
        self.num_bytes = 0

    def __call__(self, source: int, item: Item) -> None:
        """Note one piece."""
        found = self._found
        if isinstance(item, LeftOut):
            if len(found.left_out) < MAX_ENTRIES:
                found.left_out.append(item)
        elif isinstance(item, Opened):
            self._begin(source, item.file)
            if self._file is not None:
                self._file.format, self._file.encoding = item.format, item.encoding
        elif isinstance(item, BadInput):
            self._of(source, item.file).set_aside += 1
            if len(found.set_aside) < MAX_ENTRIES:
                found.set_aside.append(item)
        else:
            self._record(source, item)

    def _record(self, source: int, item: Record) -> None:
        self._of(source, item.file).records += 1
        self.num_bytes += len(item.text.encode("utf-8", "replace"))

    def _of(self, source: int, name: str) -> FileReading:
        """The file that a piece comes from: its name begins the piece's, where rows are cut."""
        file = self._file
        if file is not None and file.source == source:
            rest = name.removeprefix(file.name)
            if rest != name and (not rest or rest.startswith(":")):
                return file
        return self._begin(source, name)

    def _begin(self, source: int, name: str) -> FileReading:
        self._file = FileReading(source=source, name=name)
        if len(self._found.files) < MAX_ENTRIES:
            self._found.files.append(self._file)
        return self._file


def _look_at_texts(staging: Staging, found: Preview, *, data: DataConfig, num_samples: int) -> None:
    """Tell languages, and keep documents at even distances, from the first on."""
    languages = LanguageCounts(staging.num_rows, asked_for=data.languages)
    step = max(1, staging.num_rows // max(1, num_samples))
    for number, row in enumerate(staging.rows()):
        identity = hashlib.blake2b(row["text"].encode(), digest_size=8).digest()
        languages.add(identity, row["text"], row["target"])
        if number % step == 0 and len(found.samples) < num_samples:
            sample = Sample(name=row["name"], text=row["text"], target=row["target"])
            found.samples.append(sample)
    found.languages = languages.to_json()


def _split(staging: Staging, found: Preview, *, data: DataConfig, ledger: SplitLedger) -> None:
    try:
        places, _ = assign(staging, data=data, ledger=ledger)
    except SourceError as error:
        found.stops.append(str(error))
        return
    sides = (SPLITS[code] for block in blocks(staging.num_rows) for code in places.sides[block])
    found.sides = dict(Counter(sides))
