r"""Files in, records out: one bounded stream at a time, and never an exception for bad bytes.

In: the located files of a source.  Out: `Record` and `BadInput` in file order.
Lines end at `\n` (tables) and also at `\r` (plain text), are read with a bound,
and are decoded strictly one by one, so that one broken line costs one line.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from lmcore.counted import counted
from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.apart.limits import LimitError
from lmcore.data.sources.apart.process import kept_processes
from lmcore.data.sources.archives import container, open_members, why_unreadable
from lmcore.data.sources.bombs import BombError
from lmcore.data.sources.encodings import Misread, as_utf8, marked_encoding, peek, unmarked_utf16
from lmcore.data.sources.find_files import NOT_CHOSEN, printable
from lmcore.data.sources.formats.text import cut_records
from lmcore.data.sources.kinds import KINDS, kind_name
from lmcore.data.sources.lines import Line, LinesOf, decode, iter_lines
from lmcore.data.sources.located import LocatedSource, SourceFile
from lmcore.data.sources.members import members_of
from lmcore.data.sources.reading import Reading, Unit
from lmcore.data.sources.recognition import recognise
from lmcore.data.sources.records import (
    BadInput,
    Item,
    LeftOut,
    Opened,
    Piece,
    Record,
    Row,
    build_record,
)
from lmcore.errors import SourceError

FILES_FOR_FILE_UNIT = 50
# Bytes of the beginning that tell how bytes are to be read that are no text.
_HEAD = 4096


def read_source(source: LocatedSource, *, data: DataConfig) -> Iterator[Item]:
    """Stream every record of a source.

    Raises:
        SourceError: If a table lacks a named column, parallel files differ in length, or a
            Hugging Face data set cannot be loaded.
    """
    unit = resolve_unit(source, data=data)
    yield from read_files(source, data=data, unit=unit)


def read_files(source: LocatedSource, *, data: DataConfig, unit: Unit) -> Iterator[Item]:
    """Stream the records of some files of a source.

    Args:
        source: With these files alone.
        data: How text becomes documents.
        unit: What a document of the whole source is.

    Raises:
        SourceError: As `read_source`.
    """
    with kept_processes():
        yield from _read_files(source, data=data, unit=unit)


def _read_files(source: LocatedSource, *, data: DataConfig, unit: Unit) -> Iterator[Item]:
    config = source.config
    if config.dataset is not None:
        from lmcore.data.sources.hub import read_dataset

        whole = data.model_copy(update={"unit": "record"})
        read_table = functools.partial(_read_table, data=whole)
        yield from cut_records(read_dataset(config, read_table=read_table), unit=data.unit)
    elif config.format == "parallel":
        yield from _read_parallel(source, data=data)
    else:
        for file in source.files:
            if file.problem:
                yield BadInput(file=file.name, position=0, reason=file.problem)
            else:
                yield from _read_file(file, config=config, data=data, unit=unit)


def read_stretch(
    file: SourceFile,
    stretch: tuple[int, int],
    *,
    config: SourceConfig,
    data: DataConfig,
    on_lines: Callable[[int], None],
) -> Iterator[Item]:
    """Stream the records of some lines of a file of JSON lines in UTF-8.

    Args:
        file: The whole file, on this machine.
        stretch: First byte, at the beginning of a line, and the one behind the last.
        config: Of its source.
        data: How text becomes documents.
        on_lines: Told how many lines there were, at the end.

    Returns:
        Records and bad input; positions count from the beginning of the stretch.
    """
    start, stop = stretch
    with file.path.open("rb") as stream:
        head = stream.read(_HEAD)
        stream.seek(start)
        lines = LinesOf(stream, stop - start)
        reading = Reading(
            name=file.name,
            source=config,
            max_bytes=data.max_document_bytes,
            unit="record",
            misread=Misread(None, head),
        )
        if start == 0:
            yield Opened(file=file.name, format="jsonl", encoding="utf-8")
        records = _records(KINDS["jsonl"].read(cast(IO[bytes], lines), reading), config)
        yield from cut_records(records, unit=data.unit)
        on_lines(lines.count)


def resolve_unit(source: LocatedSource, *, data: DataConfig) -> Unit:
    """What a document of this source is, with `auto` decided."""
    if data.unit != "auto":
        return data.unit
    config = source.config
    if config.dataset is not None or config.format == "parallel":
        return "record"
    if config.format != "auto" and (config.format == "lines" or _is_records(config.format)):
        return "record"
    # Only as many names are looked at as the rule needs; a tar has to be read to be listed.
    texts = (name for name in _content_names(source) if not _is_records(kind_name(config, name)))
    num_texts = sum(1 for _ in itertools.islice(texts, FILES_FOR_FILE_UNIT))
    if num_texts == 0:
        return "record"
    return "file" if num_texts == FILES_FOR_FILE_UNIT else "paragraph"


def _is_records(kind: str) -> bool:
    return KINDS[kind].shape == "records"


def _content_names(source: LocatedSource) -> Iterator[str]:
    pattern = source.config.files
    for file in source.files:
        if container(file.name) not in ("zip", "tar"):
            yield file.name
            continue
        try:
            with file.at_hand() as path:
                for member, why in members_of(path, name=file.name, pattern=pattern):
                    if member.stream is not None and not why:
                        yield member.name
        except Exception as error:
            why_unreadable(error)  # told when it is read


def _read_file(
    file: SourceFile, *, config: SourceConfig, data: DataConfig, unit: Unit
) -> Iterator[Item]:
    with file.at_hand() as path:
        yield from _read_members(path, file, config=config, data=data, unit=unit)


def _read_members(
    path: Path, file: SourceFile, *, config: SourceConfig, data: DataConfig, unit: Unit
) -> Iterator[Item]:
    packed = container(file.name) in ("zip", "tar")
    members = members_of(path, name=file.name, pattern=config.files)
    while True:
        try:
            found = next(members, None)
        except Exception as error:  # see `why_unreadable`
            yield _unreadable(file.name, error)
            return
        if found is None:
            return
        member, why = found
        name = f"{file.name}/{printable(member.name)}" if packed else file.name
        if member.stream is None:
            yield BadInput(file=name, position=0, reason=member.refusal)
            continue
        if why:
            if why != NOT_CHOSEN:
                yield LeftOut(file=name, reason=why)
            continue
        records = _read_stream(
            member.stream,
            name=name,
            seekable=container(file.name) == "plain",
            config=config,
            data=data,
            unit=unit,
        )
        while True:
            try:
                record = next(records, None)
            except Exception as error:  # see `why_unreadable`
                yield _unreadable(file.name if isinstance(error, BombError) else name, error)
                if isinstance(error, BombError):
                    return
                break
            if record is None:
                break
            yield record


def _read_table(file: SourceFile, config: SourceConfig, *, data: DataConfig) -> Iterator[Item]:
    yield from _read_file(file, config=config, data=data, unit="record")


def _unreadable(name: str, error: Exception) -> BadInput:
    return BadInput(
        file=name,
        position=0,
        reason=why_unreadable(error),
        condemns_file=isinstance(error, BombError | LimitError),
    )


def _read_stream(
    stream: IO[bytes],
    *,
    name: str,
    seekable: bool,
    config: SourceConfig,
    data: DataConfig,
    unit: Unit,
) -> Iterator[Item]:
    found = recognise(stream, name=name, config=config, seekable=seekable)
    if found.problem:
        yield BadInput(file=name, position=0, reason=found.problem)
        return
    kind = KINDS[found.format]
    yield Opened(file=name, format=found.format, encoding=found.encoding)
    reading = Reading(
        name=name,
        source=config,
        max_bytes=data.max_document_bytes,
        unit=unit,
        misread=Misread(config.encoding, found.head),
    )
    records = _records(kind.read(found.stream, reading), config)
    if kind.shape == "text":
        yield from records
    else:
        # A record is a document, whatever the plain text beside it is cut into.
        yield from cut_records(records, unit=unit if kind.shape == "document" else data.unit)


def _records(pieces: Iterator[Piece], config: SourceConfig) -> Iterator[Item]:
    for piece in pieces:
        yield build_record(piece, source=config) if isinstance(piece, Row) else piece


def _read_parallel(source: LocatedSource, *, data: DataConfig) -> Iterator[Item]:
    """Read two line-aligned files as text and target.

    Raises:
        SourceError: If one has more lines than the other.
    """
    left, right = source.files[0], source.targets[0]
    for file in (left, right):
        if file.problem:
            yield BadInput(file=file.name, position=0, reason=file.problem)
            return
    limit = data.max_document_bytes
    try:
        with ExitStack() as stack:
            sides = [_line_stream(file, source.config, data, stack) for file in (left, right)]
            pairs = itertools.zip_longest(
                *(iter_lines(stream, max_bytes=limit) for stream, _ in sides)
            )
            for number, (text_line, target_line) in enumerate(pairs, start=1):
                if text_line is None or target_line is None:
                    short, long = (left, right) if text_line is None else (right, left)
                    raise SourceError(
                        f"{short.name} has {counted(number - 1, 'line')} and {long.name} has"
                        f" more; parallel"
                        " files must have the same number of lines"
                    )
                yield _pair((text_line, target_line), (sides[0][1], sides[1][1]))
    except Exception as error:  # see `why_unreadable`
        yield _unreadable(left.name, error)


def _line_stream(
    file: SourceFile, config: SourceConfig, data: DataConfig, stack: ExitStack
) -> tuple[IO[bytes], Reading]:
    if container(file.name) in ("zip", "tar"):
        raise SourceError(f"{file.name}: format parallel reads plain or compressed files only")
    path = stack.enter_context(file.at_hand())
    members = stack.enter_context(closing(open_members(path, name=file.name)))
    stream = next(members).stream
    assert stream is not None
    head = peek(stream)
    encoding = config.encoding or marked_encoding(head)
    if encoding is None and (unmarked := unmarked_utf16(head)) is not None:
        raise SourceError(f"{file.name}: UTF-16 without a mark; set encoding: {unmarked}")
    misread = Misread(encoding, head)
    reading = Reading(
        name=file.name,
        source=config,
        max_bytes=data.max_document_bytes,
        unit="line",
        misread=misread,
    )
    return as_utf8(stream, encoding=config.encoding), reading


def _pair(lines: tuple[Line, Line], sides: tuple[Reading, Reading]) -> Record | BadInput:
    texts = []
    for line, reading in zip(lines, sides, strict=True):
        text = None if line.data is None else decode(line.data)
        if text is None:
            # The position is the same in both files, and the first names the pair.
            return replace(reading.bad_line(line), file=sides[0].name)
        texts.append(text)
    return Record(file=sides[0].name, position=lines[0].number, text=texts[0], target=texts[1])
