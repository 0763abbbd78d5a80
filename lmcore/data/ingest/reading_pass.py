"""Pass one of ingest: read all parts, and stage each text once.

In: located sources.  Out: staged texts, counts of everything else, and for each source
that could not be read well enough the sentence with which a run must stop.  The parts may be read
by many processes (`part_pool`); what comes of them is joined here, in reading order, so the result
is the same whoever read them.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from lmcore.data.config import DataConfig
from lmcore.data.ingest.part_pool import pool_for
from lmcore.data.ingest.part_reading import Told, Watch, read_part
from lmcore.data.ingest.part_task import QUARANTINE_FILE, PartFolder, PartStore, Task, salt_of
from lmcore.data.ingest.parts import cut
from lmcore.data.ingest.readability import Readability
from lmcore.data.ingest.reading_counts import Tally
from lmcore.data.ingest.removals_file import RemovalsFile
from lmcore.data.ingest.staging import Staging
from lmcore.data.sources.located import LocatedSource

Progress = Callable[[str, int], None]


class ReadingPass:
    """Reads sources into a staging folder.

    Attributes:
        tally: What became of everything that was read.
        refusals: For each source that could not be read well enough, why a run must not go on.
        keys: Of the parts' folders.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[LocatedSource],
        *,
        data: DataConfig,
        removals: RemovalsFile,
        parts: PartStore,
        progress: Progress | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Prepare it.

        Args:
            folder: Where the quarantine is written.
            sources: Located.
            data: How text becomes documents.
            removals: Names what must not be used.
            parts: Where what comes of the parts is kept.
            progress: Called with the name of the pass and a number of documents.
            watch: Called with the number of the source and each piece that is read, here.
        """
        self._sources = sources
        self._data = data
        self._progress = progress or (lambda label, number: None)
        self._watch = watch
        # Who watches, or stops at the first bad line, is told the place in the whole file.
        lines = watch is None and data.on_bad_input != "fail"
        self._tasks = [
            Task(part=part, data=data, removals=removals, store=parts)
            for part in cut(sources, data=data, part_bytes=parts.part_bytes, lines=lines)
        ]
        self.tally = Tally(folder / QUARANTINE_FILE, salt=salt_of(data))
        self.refusals: list[str] = []
        self.keys: list[str] = []
        self._records = 0

    def read_all(self, staging: Staging) -> None:
        """Read, clean, mask and stage every text."""
        pool = self._watched if self._watch else pool_for(self._tasks)
        with self.tally, contextlib.closing(pool(self._tasks, self._told)) as folders:
            pairs = zip(self._tasks, folders, strict=True)
            for number, found in itertools.groupby(pairs, lambda pair: pair[0].part.source):
                self._join(number, found, staging)
            staging.finish(on_duplicate=self.tally.duplicate)

    def _told(self, records: int) -> None:
        self._records += records
        self._progress("read", self._records)

    def _watched(self, tasks: Sequence[Task], told: Told) -> Generator[PartFolder]:
        return (read_part(task, told=told, watch=self._watch) for task in tasks)

    def _join(
        self, number: int, found: Iterator[tuple[Task, PartFolder]], staging: Staging
    ) -> None:
        """Count and stage what came of the parts of a source."""
        source = self._sources[number]
        readability = Readability()
        shift = 0
        for task, folder in found:
            stretch = task.part.stretch
            if stretch is None or stretch.start == 0:
                shift = 0
            state = folder.tally()
            self.tally.add(state, folder.path / QUARANTINE_FILE, shift=shift)
            readability.add(state["readability"], shift=shift)
            self.keys.append(folder.key)
            staging.add_part(
                folder,
                source=number,
                shift=shift,
                forced=source.config.split,
                condemned=state["condemned"],
            )
            shift += int(folder.summary["lines"])
        self.tally.skipped(source.skipped)
        if self._watch is not None:
            for left in source.skipped:
                self._watch(number, left)
        config, limit = source.config, self._data.max_quarantine_share
        place = f"sources[{number}] ({config.place})"
        self.refusals.append(readability.refusal(place=place, limit=limit))
