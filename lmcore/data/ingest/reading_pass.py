"""Pass one of ingest: read, clean, mask, drop exact duplicates, and stage each text.

In: located sources.  Out: staged texts, counts of everything else, and for each source
that could not be read well enough the sentence with which a run must stop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lmcore.artifacts import digest
from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.copies.removal import Removals
from lmcore.data.ingest.readability import Readability
from lmcore.data.ingest.reading_counts import WITHOUT_DATE, Tally
from lmcore.data.ingest.staging import Staged, Staging
from lmcore.data.sources.apart.process import kept_processes
from lmcore.data.sources.located import LocatedSource
from lmcore.data.sources.readers import read_source
from lmcore.data.sources.records import BadInput, Item, LeftOut, Opened, Record
from lmcore.data.text.cleaning import UnusableTextError, clean, document_id, utf8_bytes
from lmcore.data.text.folding import is_blank
from lmcore.data.text.masking import DocumentMasking
from lmcore.errors import SourceError

Progress = Callable[[str, int], None]
Watch = Callable[[int, Item], None]
REPORT_EVERY = 1000
#: Why a text was dropped that somebody asked to forget.
REMOVED = "removed"


class ReadingPass:
    """Reads sources into a staging folder.

    Attributes:
        tally: What became of everything that was read.
        refusals: For each source that could not be read well enough, why a run must not go on.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[LocatedSource],
        *,
        data: DataConfig,
        removals: Removals,
        progress: Progress | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Prepare it.

        Args:
            folder: Where the quarantine is written.
            sources: Located.
            data: How text becomes documents.
            removals: What must not be used.
            progress: Called with the name of the pass and a number of documents.
            watch: Called with the number of the source and each piece that is read.
        """
        self._sources = sources
        self._data = data
        self._removals = removals
        self._masking = DocumentMasking.of(data)
        self._progress = progress or (lambda label, number: None)
        self._watch = watch or (lambda source, item: None)
        # The salt comes from the data, so that the same data gives the same folder anywhere.
        salt = bytes.fromhex(digest([source.digest for source in sources]))
        self.tally = Tally(folder / "quarantine.jsonl", salt=salt)
        self.refusals: list[str] = []

    def read_all(self, staging: Staging) -> None:
        """Read, clean, mask and stage every text."""
        with self.tally, kept_processes():
            for index, source in enumerate(self._sources):
                self._read(index, source, staging)
            staging.finish()

    def _read(self, index: int, source: LocatedSource, staging: Staging) -> None:
        files = {file.name for file in source.files}
        last_name, last_file, first_row = "", "", staging.num_rows
        opened, opened_row = "", staging.num_rows
        readability = Readability()
        for item in read_source(source, data=self._data):
            self._watch(index, item)
            if isinstance(item, LeftOut | Opened):
                self.tally.skipped([item] if isinstance(item, LeftOut) else [])
                if isinstance(item, Opened):
                    opened, opened_row = item.file, staging.num_rows
                continue
            self.tally.record()
            readability.record(item.file)
            if item.file != last_name:
                # A member of an archive belongs to the archive: all of it goes with a bomb.
                last_name, file = item.file, _file_of(item.file, files)
                if file != last_file:
                    last_file, first_row = file, staging.num_rows
            if isinstance(item, BadInput):
                if item.condemns_file:
                    # A bomb condemns its archive, a member that is too much to read only itself.
                    start = opened_row if item.file == opened else first_row
                    self.tally.drop("of_a_condemned_file", staging.forget_from(start), 0)
                self._quarantine(item, readability)
            elif (bad := self._stage(item, index, source.config, staging)) is not None:
                self._watch(index, bad)
                self._quarantine(bad, readability)
            if readability.records % REPORT_EVERY == 0:
                self._progress("read", staging.num_rows)
        self.tally.skipped(source.skipped)
        for left in source.skipped:
            self._watch(index, left)
        config, limit = source.config, self._data.max_quarantine_share
        place = f"sources[{index}] ({config.place})"
        self.refusals.append(readability.refusal(place=place, limit=limit))

    def _quarantine(self, item: BadInput, readability: Readability) -> None:
        readability.quarantine(item)
        where = f"{item.file}:{item.position}" if item.position else item.file
        if self._data.on_bad_input == "fail":
            raise SourceError(
                f"{where}: {item.reason}; mend or remove it, or set data.on_bad_input: quarantine"
            )
        self.tally.quarantine(item)

    def _stage(
        self, record: Record, index: int, config: SourceConfig, staging: Staging
    ) -> BadInput | None:
        """Stage a record; returns it as bad input where its text cannot be used."""
        data, tally = self._data, self.tally
        name = f"{record.file}:{record.position}" if record.position else record.file
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
            tally.drop(WITHOUT_DATE, 1, size, name=name)
        elif data.as_of and record.date and record.date > data.as_of.isoformat():
            tally.drop("later_than_as_of", 1, size)
        elif self._removals.match(identity := document_id(text), text) is not None:
            tally.drop(REMOVED, 1, size)
        else:
            staged = Staged(
                id=bytes.fromhex(identity),
                text=text,
                name=name,
                source=index,
                num_bytes=size,
                date=record.date,
                target=target,
            )
            if not staging.add(staged, forced=config.split):
                tally.duplicate(name, size)
        return None

    def _clean(self, text: str, *, is_target: bool = False) -> tuple[str, int]:
        cleaned = clean(text)
        if not is_target:
            self.tally.cleaned(cleaned)
        masked = self._masking.find(cleaned.text)
        self.tally.found(masked)
        if self._masking.keeps:
            return cleaned.text, cleaned.num_bytes
        self.tally.masked(masked)
        return masked.text, utf8_bytes(masked.text) if masked.counts else cleaned.num_bytes


def _file_of(name: str, files: set[str]) -> str:
    """The file that a member belongs to; the name itself for a file."""
    while name not in files and "/" in name:
        name = name.rpartition("/")[0]
    return name
