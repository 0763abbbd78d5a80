"""Objects: one JSON object a line, a JSON file with a list of them, YAML.

In: a byte stream.  Out: one record for each object.  A JSON list is parsed as a
stream (ijson), so a file larger than the memory is read.  YAML has to be parsed
whole and is bounded; its aliases are refused, as a few lines of them can stand for
gigabytes.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any

import yaml

from lmcore.data.sources.fields import MissingFieldError, kind_of, value_at
from lmcore.data.sources.lines import decode, iter_lines
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Piece, Row
from lmcore.errors import ConfigError
from lmcore.yaml_file import parse_yaml

#: A YAML file is parsed in memory, where it takes some hundred times its size.
MAX_YAML_BYTES = 16 << 20
#: Levels of lists and objects; a parser's path grows with each of them.
MAX_DEPTH = 200
#: Of one value of a JSON file, in memory.
MAX_VALUE_BYTES = 256 << 20
#: That a number, a key or a bracket takes there.
_PART_BYTES = 64
_SPACE = b" \t\r\n"


def read_jsonl(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One JSON object a line; blank lines are nothing."""
    for line in iter_lines(stream, max_bytes=reading.max_bytes):
        text = None if line.data is None else decode(line.data)
        if text is None:
            yield reading.bad_line(line)
        elif text.strip():
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:
                reason = f"not JSON: {str(error) or type(error).__name__}"
                yield reading.bad(line.number, reason)
                continue
            yield _record(row, line.number, reading, kind="JSON")


def read_json(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """The objects of a JSON list, or of the list that `records` leads to; else the one object."""
    position = 0
    try:
        for position, row in enumerate(json_rows(stream, records=reading.source.records), start=1):
            yield _record(row, position, reading, kind="JSON")
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnicodeDecodeError):
            reason = reading.misread.reason(error.object)
        else:
            what = str(error) or type(error).__name__
            reason = f"not JSON: {' '.join(what.split())[:200]}"
        yield reading.bad(position + 1, f"{reason} (nothing behind it is read)")
        return
    if position == 0:
        path = reading.source.records
        where = f"records: {path} leads to no list" if path else "an empty list"
        yield reading.bad(0, where)


def json_rows(stream: IO[bytes], *, records: str | None) -> Iterator[Any]:
    """The values of a JSON file that stand for records, one in memory at a time.

    Args:
        stream: Buffered UTF-8.
        records: Path to the list, `.`-separated; None: the file is the list, or one object, or
            several behind one another.

    Raises:
        ValueError: If it is no JSON, or cut off, or nested absurdly deep.
    """
    import ijson

    try:
        fed = _Fed(stream)
        events = _bounded(ijson.basic_parse(fed, use_float=True, multiple_values=True), fed)
        if records is not None:
            if _enter(events, records.removesuffix("[]").split(".")):
                yield from _items(events)
                collections.deque(events, maxlen=0)  # what is cut off behind the list is told too
            return
        for event in events:
            if event[0] == "start_array":
                yield from _items(events)
            else:
                yield _value(event, events)
    except ijson.JSONError as error:
        raise ValueError(str(error).partition("\n")[0]) from error


Event = tuple[str, Any]


class _Fed:
    """A stream that is read for one token no further than a token may be long."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._waiting = 0

    def read(self, size: int) -> bytes:
        self._waiting += size
        if self._waiting > MAX_VALUE_BYTES:
            raise ValueError(f"a text or number longer than {MAX_VALUE_BYTES >> 20} MiB")
        return self._stream.read(size)

    def taken(self) -> None:
        self._waiting = 0


def _bounded(events: Iterable[Event], fed: _Fed) -> Iterator[Event]:
    depth = 0
    for event in events:
        fed.taken()
        depth += (event[0].startswith("start_")) - event[0].startswith("end_")
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        yield event


def _enter(events: Iterator[Event], keys: Sequence[str]) -> bool:
    """Go to the beginning of the list that a path of keys leads to."""
    event = next(events, None)
    for key in keys:
        if event is None or event[0] != "start_map":
            return False
        for name, found in events:
            if name == "end_map":
                return False
            event = next(events)
            if found == key:
                break
            _skip(event, events)
    return event is not None and event[0] == "start_array"


def _items(events: Iterator[Event]) -> Iterator[Any]:
    for event in events:
        if event[0] == "end_array":
            return
        yield _value(event, events)


def _value(event: Event, events: Iterator[Event]) -> Any:
    """The value that begins with an event."""
    from ijson import ObjectBuilder

    builder = ObjectBuilder()
    depth = size = 0
    while True:
        builder.event(*event)
        size += _PART_BYTES + (len(event[1]) if isinstance(event[1], str) else 0)
        if size > MAX_VALUE_BYTES:
            raise ValueError(
                f"a record that takes more than {MAX_VALUE_BYTES >> 20} MiB of memory; where"
                " records are in a list inside it, records: names the path to that list"
            )
        depth += event[0].startswith("start_") - event[0].startswith("end_")
        if depth == 0:
            return builder.value
        event = next(events)


def _skip(event: Event, events: Iterator[Event]) -> None:
    depth = 0
    while True:
        depth += event[0].startswith("start_") - event[0].startswith("end_")
        if depth == 0:
            return
        event = next(events)


def first_character(stream: IO[bytes]) -> bytes:
    """The first byte of a buffered stream that is no space."""
    return stream.peek(1)[: 1 << 16].lstrip(_SPACE)[:1]  # type: ignore[attr-defined, no-any-return]


def read_yaml(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """The objects of a YAML list, or of the list that `records` leads to; else each document."""
    raw = stream.read(MAX_YAML_BYTES + 1)
    if len(raw) > MAX_YAML_BYTES:
        yield reading.bad(
            0, f"YAML of more than {MAX_YAML_BYTES >> 20} MiB; write it as JSON lines"
        )
        return
    text = decode(raw)
    if text is None:
        yield reading.bad(0, reading.misread.reason(raw))
        return
    try:
        rows = list(_yaml_rows(text, records=reading.source.records))
    except (yaml.YAMLError, ConfigError, MissingFieldError, ValueError, RecursionError) as error:
        what = str(error).partition("\n")[0] or type(error).__name__
        yield reading.bad(0, f"not YAML that is read: {what}")
        return
    for position, row in enumerate(rows, start=1):
        yield _record(row, position, reading, kind="YAML")


def _yaml_rows(text: str, *, records: str | None) -> Iterable[Any]:
    for document in yaml_documents(text):
        value = document if records is None else value_at(document, records.removesuffix("[]"))
        if isinstance(value, list):
            yield from value
        elif value is not None:
            yield value


def yaml_documents(text: str) -> Iterator[Any]:
    """Each document of a YAML file, without aliases or keys that stand twice."""
    lines: list[str] = []
    for line in (*text.removeprefix("\ufeff").split("\n"), "---"):
        if line.rstrip() == "---" or line.startswith("--- "):
            if any(piece.strip() and not piece.lstrip().startswith("#") for piece in lines):
                yield parse_yaml("\n".join(lines))
            lines = [line[4:]]
        elif not line.startswith(("%YAML", "%TAG", "...")):
            lines.append(line)


def _record(row: Any, position: int, reading: Reading, *, kind: str) -> Piece:
    if not isinstance(row, dict):
        return reading.bad(position, f"not a {kind} object, but {kind_of(row)}")
    return Row(file=reading.name, position=position, values=row)
