"""What readers hand over: a record of text, or a piece of bad input with its reason.

In: values of a table row or a JSON object.  Out: `Record` or `BadInput`.  Bad
input is a value and not an exception, so that one bad line never ends a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmcore.data.config import SourceConfig
from lmcore.data.sources.dates import date_in_name, is_missing, iso_date
from lmcore.data.sources.fields import Gathered, MissingFieldError, kind_of, value_at
from lmcore.data.sources.labels import label

FILE_NAME = "filename"  # as a date field of plain text: the date is in the file's name


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One text as it was read, before cleaning.

    Attributes:
        file: Name of its file (and archive member).
        position: Line or row in the file, from 1; 0 stands for the whole file.
        text: The text.
        target: Label, translation or summary.
        date: ISO 8601 date.
    """

    file: str
    position: int
    text: str
    target: str | None = None
    date: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BadInput:
    """Something that could not be read.

    Attributes:
        file: Name of its file (and archive member).
        position: Line or row, from 1; 0 stands for the whole file.
        reason: What is wrong, in words.
        condemns_file: What was read from this file before is not to be trusted either.
    """

    file: str
    position: int
    reason: str
    condemns_file: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Something that is no text and was passed over: told, but not counted as bad input.

    Attributes:
        file: Name of its file (and archive member).
        reason: Why, in words.
    """

    file: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A record with all its columns, before the configuration has said which of them is the text.

    Attributes:
        file: Name of its file (and archive member).
        position: Row in the file, from 1; 0 stands for the whole file.
        values: By column.
        date: ISO 8601 date that is known without a column.
    """

    file: str
    position: int
    values: Mapping[str, Any]
    date: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A file is read from here on: told, so that somebody may see how.

    Attributes:
        file: Name of the file (and archive member).
        format: How it is read.
        encoding: Of its text; empty for bytes that are none.
    """

    file: str
    format: str
    encoding: str


#: What a reader of one kind of file gives.
Piece = Record | Row | BadInput | LeftOut
#: What a source gives.
Item = Record | BadInput | LeftOut | Opened


def build_record(row: Row, *, source: SourceConfig) -> Record | BadInput:
    """Take text, target and date out of a row.

    Args:
        row: What was read.
        source: Names the columns that are wanted, or paths into them.
    """

    def bad(reason: str) -> BadInput:
        return BadInput(file=row.file, position=row.position, reason=reason)

    day = row.date
    try:
        text = _text_at(row.values, source.text_field, source=source)
        target = None
        if source.target_field is not None:
            target = _text_at(row.values, source.target_field, source=source, is_target=True)
        if source.date_field not in (None, FILE_NAME):
            assert source.date_field is not None
            raw = _value_at(row.values, source.date_field)
            if not is_missing(raw):
                day = iso_date(raw)
                if day is None:
                    return bad(f"{source.date_field}={str(raw)[:40]!r} is not an ISO 8601 date")
    except ValueError as error:
        return bad(str(error))
    if source.date_field == FILE_NAME:
        day = date_in_name(row.file)
    return Record(file=row.file, position=row.position, text=text, target=target, date=day)


def _text_at(
    row: Mapping[str, Any], path: str, *, source: SourceConfig, is_target: bool = False
) -> str:
    """The text that a path leads to.

    Raises:
        ValueError: If there is none; the message is the reason.
    """
    value = _value_at(row, path)
    joiner = source.list_join
    if isinstance(value, Gathered):
        # What is not there (a message that only calls a tool) is no text.
        value = [item for item in value.values if item is not None]
        joiner = "\n" if joiner is None else joiner
    if isinstance(value, list | tuple) and joiner is not None:
        if not all(isinstance(item, str) for item in value):
            raise ValueError(f"{path!r} is a list of other things than strings")
        value = joiner.join(value)
    if is_target:
        value = label(value, name=path)
    if not isinstance(value, str):
        hint = _way_in(path, value)
        raise ValueError(f"{path!r} is {kind_of(value)}, not a string{hint}")
    return value


def _value_at(row: Mapping[str, Any], path: str) -> object:
    try:
        return value_at(row, path)
    except MissingFieldError as error:
        where = f" on the way to {path!r}" if error.step != path else ""
        chat = "; messages[].content leads to what was written" if "messages" in row else ""
        raise ValueError(f"no key {error.step!r}{where}; found {error.found}{chat}") from error


def _way_in(path: str, value: object) -> str:
    """How a configuration would say what it means by a list or an object."""
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, Mapping) and first:
        key = next((name for name in ("content", "text") if name in first), next(iter(first)))
        each = "[]" if isinstance(value, list) else ""
        return f"; a path such as {path}{each}.{key} leads into it"
    return "; set list_join to join it" if isinstance(value, list | tuple) else ""
