"""Cut sources into parts that are read apart: a function of names and sizes alone.

A part is some files of one source, or a stretch of lines of one large file.  What comes of a part
depends on its bytes and on the settings, on no other part; so parts can be read in any order, by
any number of processes, and again only where they are new (`lmcore.data.ingest.part_reading`).

Where one part ends and the next begins follows from the names, so that one file more moves the
borders beside it and no others (content-defined chunking; Muthitacharoen et al. 2001, SOSP).
A file of JSON lines is cut behind fixed numbers of bytes: what is appended leaves all before it as
it was.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from lmcore.data.config import DataConfig
from lmcore.data.sources.archives import container
from lmcore.data.sources.encodings import marked_encoding, unmarked_utf16
from lmcore.data.sources.kinds import kind_name
from lmcore.data.sources.located import LocatedSource, SourceFile
from lmcore.data.sources.readers import resolve_unit
from lmcore.data.sources.reading import Unit

#: About what a part holds: two seconds of one core.  What is appended to a file has up to so much
#: before it read again.
PART_BYTES = 4 << 20
# Bytes of the beginning that tell an encoding.
_HEAD = 4096
_READ = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Lines of a file.

    Attributes:
        start: First byte.
        stop: Behind the last byte.
        sha256: Of these bytes.
    """

    start: int
    stop: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is read by one process at a time.

    Attributes:
        source: Number of its source.
        located: The source with the files of this part alone.
        unit: What a document of the whole source is.
        stretch: The lines of its one file; None: all of its files.
    """

    source: int
    located: LocatedSource
    unit: Unit
    stretch: Stretch | None = None

    @property
    def content(self) -> Any:
        """What its bytes are, as JSON."""
        if self.stretch is not None:
            (file,) = self.located.files
            return [file.name, self.stretch.sha256]
        found = self.located
        if not found.files:  # a data set of the hub
            return found.digest
        return [[file.name, file.sha256, file.problem] for file in (*found.files, *found.targets)]

    @property
    def num_bytes(self) -> int:
        """Of its files, as they lie."""
        if self.stretch is not None:
            return self.stretch.stop - self.stretch.start
        return sum(file.num_bytes for file in (*self.located.files, *self.located.targets))


def cut(
    sources: Sequence[LocatedSource],
    *,
    data: DataConfig,
    part_bytes: int = PART_BYTES,
    lines: bool = True,
) -> Iterator[Part]:
    """The parts of all sources, in reading order.

    Args:
        sources: Located.
        data: How text becomes documents.
        part_bytes: About what a part holds.
        lines: Whether large files of lines are cut, too.
    """
    for number, source in enumerate(sources):
        unit = resolve_unit(source, data=data)
        if not source.files or source.targets:
            yield Part(source=number, located=replace(source, skipped=()), unit=unit)
            continue
        for files in _together(source.files, part_bytes):
            own = replace(source, files=files, skipped=())
            part = Part(source=number, located=own, unit=unit)
            stretches = _stretches(own, part_bytes) if lines else []
            if stretches:
                yield from (replace(part, stretch=stretch) for stretch in stretches)
            else:
                yield part


def _together(files: Sequence[SourceFile], part_bytes: int) -> Iterator[tuple[SourceFile, ...]]:
    """Files that are read together; a large one is alone."""
    held: list[SourceFile] = []
    size = 0
    for file in files:
        if held and size + file.num_bytes > 2 * part_bytes:
            yield tuple(held)
            held, size = [], 0
        held.append(file)
        size += file.num_bytes
        # A border in proportion to a file's bytes, wherever it stands.
        drawn = hashlib.blake2b(file.name.encode("utf-8", "replace"), digest_size=8).digest()
        if int.from_bytes(drawn, "big") * part_bytes < (file.num_bytes + 1) << 64:
            yield tuple(held)
            held, size = [], 0
    if held:
        yield tuple(held)


def _stretches(source: LocatedSource, part_bytes: int) -> list[Stretch]:
    """How the one large file of lines is cut; empty where it is no such file."""
    if len(source.files) != 1:
        return []
    (file,) = source.files
    if file.problem or file.remote is not None or file.num_bytes < 2 * part_bytes:
        return []
    if container(file.name) != "plain" or kind_name(source.config, file.name) != "jsonl":
        return []
    with file.path.open("rb") as stream:
        head = stream.read(_HEAD)
        if source.config.encoding or marked_encoding(head) or unmarked_utf16(head):
            return []
        bounds = list(_cut_lines(stream, file.path, part_bytes))
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as threads:
        found = threads.map(functools.partial(_hashed, file.path), bounds)
        # A file that just became shorter ends where it ends.
        return [stretch for stretch in found if stretch.start < stretch.stop]


def _cut_lines(stream: IO[bytes], path: Path, part_bytes: int) -> Iterator[tuple[int, int]]:
    """Stretches [start, stop) that end at the first line end behind multiples of so many bytes."""
    size = path.stat().st_size
    start = 0
    for border in range(part_bytes, size + part_bytes, part_bytes):
        if border < start:
            continue  # inside of one very long line
        stop = min(border, size)
        stream.seek(stop)
        while stop < size and (data := stream.readline(_READ)):
            stop += len(data)
            if data.endswith(b"\n"):
                break
        if stop > start:
            yield start, stop
        start = stop


def _hashed(path: Path, bounds: tuple[int, int]) -> Stretch:
    start, stop = bounds
    hashed, place = hashlib.sha256(), start
    with path.open("rb") as stream:
        stream.seek(start)
        while place < stop and (data := stream.read(min(_READ, stop - place))):
            hashed.update(data)
            place += len(data)
    return Stretch(start=start, stop=place, sha256=hashed.hexdigest())
