r"""Files in, records out: one bounded stream at a time, and never an exception for bad bytes.

In: the located files of a source.  Out: `Record` and `BadInput` in file order.
Lines end at `\n` (tables) and also at `\r` (plain text), are read with a bound,
and are decoded strictly one by one, so that one broken line costs one line.
"""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import PurePosixPath
from typing import IO, Literal, cast

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources import tables
from lmcore.data.sources.archives import (
    READ_ERRORS,
    BombError,
    container,
    content_name,
    open_members,
)
from lmcore.data.sources.find_files import about_the_data, matches, printable
from lmcore.data.sources.lines import Line, decode, iter_lines
from lmcore.data.sources.located import LocatedSource, SourceFile
from lmcore.data.sources.plaintext import Unit, bad_line, cut_records, read_text
from lmcore.data.sources.records import BadInput, Record
from lmcore.errors import SourceError

FILES_FOR_FILE_UNIT = 50
_SNIFF_BYTES = 8192

Format = Literal["text", "lines", "jsonl", "csv", "tsv", "parquet"]
FORMATS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}


def read_source(source: LocatedSource, *, data: DataConfig) -> Iterator[Record | BadInput]:
    """Stream every record of a source.

    Raises:
        SourceError: If a table lacks a named column, parallel files differ in length, or a
            Hugging Face data set cannot be loaded.
    """
    config = source.config
    if config.dataset is not None:
        from lmcore.data.sources.hub import read_dataset

        whole = data.model_copy(update={"unit": "record"})
        read_table = functools.partial(_read_table, data=whole)
        yield from cut_records(read_dataset(config, read_table=read_table), unit=data.unit)
    elif config.format == "parallel":
        yield from _read_parallel(source, data=data)
    else:
        unit = resolve_unit(source, data=data)
        for file in source.files:
            if file.problem:
                yield BadInput(file=file.name, position=0, reason=file.problem)
            else:
                yield from _read_file(file, config=config, data=data, unit=unit)


def resolve_unit(source: LocatedSource, *, data: DataConfig) -> Unit:
    """What a document of this source is, with `auto` decided."""
    if data.unit != "auto":
        return data.unit
    config = source.config
    if config.dataset is not None or config.format not in ("auto", "text"):
        return "record"
    # Only as many names are looked at as the rule needs; a tar has to be read to be listed.
    texts = (name for name in _content_names(source) if resolve_format(config, name) == "text")
    num_texts = sum(1 for _ in itertools.islice(texts, FILES_FOR_FILE_UNIT))
    if num_texts == 0:
        return "record"
    return "file" if num_texts == FILES_FOR_FILE_UNIT else "paragraph"


def resolve_format(config: SourceConfig, name: str) -> Format:
    """How a file of this name is read."""
    if config.format != "auto":
        assert config.format != "parallel"
        return config.format
    return FORMATS.get(PurePosixPath(content_name(name)).suffix.lower(), "text")


def _content_names(source: LocatedSource) -> Iterator[str]:
    for file in source.files:
        if container(file.name) not in ("zip", "tar"):
            yield file.name
            continue
        try:
            for member in open_members(file.path, name=file.name):
                if member.stream is not None and _is_wanted(member.name, file, source.config):
                    yield member.name
        except READ_ERRORS:
            continue  # reported when it is read


def _is_wanted(member: str, archive: SourceFile, config: SourceConfig) -> bool:
    # A pattern that chose the archive itself in its folder says nothing about the members.
    if config.files is not None and not matches(archive.name, config.files):
        return matches(member, config.files)
    return not about_the_data(member)


def _read_file(
    file: SourceFile, *, config: SourceConfig, data: DataConfig, unit: Unit
) -> Iterator[Record | BadInput]:
    packed = container(file.name) in ("zip", "tar")
    members = open_members(file.path, name=file.name)
    while True:
        try:
            member = next(members, None)
        except READ_ERRORS as error:
            yield _unreadable(file.name, error)
            return
        if member is None:
            return
        name = f"{file.name}/{printable(member.name)}" if packed else file.name
        if packed and member.stream is not None and not _is_wanted(member.name, file, config):
            continue
        if member.stream is None:
            yield BadInput(file=name, position=0, reason=member.refusal)
            continue
        records = _read_stream(
            cast(io.BufferedReader, member.stream),
            name=name,
            format=resolve_format(config, member.name or file.name),
            seekable=container(file.name) == "plain",
            config=config,
            data=data,
            unit=unit,
        )
        while True:
            try:
                record = next(records, None)
            except READ_ERRORS as error:
                yield _unreadable(file.name if isinstance(error, BombError) else name, error)
                if isinstance(error, BombError):
                    return
                break
            if record is None:
                break
            yield record


def _read_table(
    file: SourceFile, config: SourceConfig, *, data: DataConfig
) -> Iterator[Record | BadInput]:
    yield from _read_file(file, config=config, data=data, unit="record")


def _unreadable(name: str, error: Exception) -> BadInput:
    reason = str(error) or type(error).__name__
    bomb = isinstance(error, BombError)
    return BadInput(
        file=name, position=0, reason=reason if bomb else f"damaged: {reason}", condemns_file=bomb
    )


def _read_stream(
    stream: io.BufferedReader,
    *,
    name: str,
    format: Format,  # noqa: A002 (the configuration's word)
    seekable: bool,
    config: SourceConfig,
    data: DataConfig,
    unit: Unit,
) -> Iterator[Record | BadInput]:
    head = _peek(stream)
    if problem := _sniff(head, format=format):
        yield BadInput(file=name, position=0, reason=problem)
        return
    limit = data.max_document_bytes
    if format == "parquet":
        if not seekable:
            reason = "a packed Parquet file is not read; unpack it"
            yield BadInput(file=name, position=0, reason=reason)
            return
        records = tables.read_parquet(stream, file=name, source=config)
    elif format == "jsonl":
        records = tables.read_jsonl(stream, file=name, source=config, max_bytes=limit)
    elif format == "csv":
        records = tables.read_csv(stream, file=name, source=config, max_bytes=limit)
    elif format == "tsv":
        records = tables.read_tsv(stream, file=name, source=config, max_bytes=limit)
    else:
        if format == "lines":
            unit = "line" if unit == "record" else unit
        yield from read_text(stream, name=name, unit=unit, max_bytes=limit, config=config)
        return
    # A record is a document, whatever the plain text beside it is cut into.
    yield from cut_records(records, unit=data.unit)


def _peek(stream: IO[bytes]) -> bytes:
    # `extractfile` and `open` give buffered readers; peeking leaves the bytes to the reader.
    peek = getattr(stream, "peek", None)
    return bytes(peek(_SNIFF_BYTES)[:_SNIFF_BYTES]) if peek is not None else b""


def _sniff(head: bytes, *, format: Format) -> str:  # noqa: A002
    if not head:
        return "empty file"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16 text; save it as UTF-8"
    # One NUL makes plain text binary; in a table it costs its row, unless there are many.
    allowed = 0 if format == "text" else len(head) // 100 + 1
    if format != "parquet" and head.count(0) > allowed:
        return "a binary file, not text"
    return ""


def _read_parallel(source: LocatedSource, *, data: DataConfig) -> Iterator[Record | BadInput]:
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
            streams = [_single_stream(file, stack) for file in (left, right)]
            pairs = itertools.zip_longest(
                *(iter_lines(stream, max_bytes=limit) for stream in streams)
            )
            for number, (text_line, target_line) in enumerate(pairs, start=1):
                if text_line is None or target_line is None:
                    short, long = (left, right) if text_line is None else (right, left)
                    raise SourceError(
                        f"{short.name} has {number - 1} lines and {long.name} has more; parallel"
                        " files must have the same number of lines"
                    )
                yield _pair(left.name, number, text_line, target_line, max_bytes=limit)
    except READ_ERRORS as error:
        yield _unreadable(left.name, error)


def _single_stream(file: SourceFile, stack: ExitStack) -> IO[bytes]:
    if container(file.name) in ("zip", "tar"):
        raise SourceError(f"{file.name}: format parallel reads plain or compressed files only")
    members = stack.enter_context(closing(open_members(file.path, name=file.name)))
    stream = next(members).stream
    assert stream is not None
    return stream


def _pair(
    name: str, number: int, text_line: Line, target_line: Line, *, max_bytes: int
) -> Record | BadInput:
    for line in (text_line, target_line):
        if line.data is None or decode(line.data) is None:
            return bad_line(line, name=name, max_bytes=max_bytes)
    assert text_line.data is not None
    assert target_line.data is not None
    return Record(
        file=name, position=number, text=text_line.data.decode(), target=target_line.data.decode()
    )
