"""What readers hand over: a record of text, or a piece of bad input with its reason.

In: values of a table row or a JSON object.  Out: `Record` or `BadInput`.  Bad
input is a value and not an exception, so that one bad line never ends a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import PurePosixPath

from lmcore.data.config import SourceConfig

FILE_NAME = "filename"  # as a date field of plain text: the date is in the file's name
_NAME_DATE = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")
_NAME_YEAR = re.compile(r"(\d{4})(?!\d)")


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


def build_record(
    file: str,
    position: int,
    names: Sequence[str],
    value_of: Callable[[str], object],
    *,
    source: SourceConfig,
) -> Record | BadInput:
    """Take text, target and date out of a row.

    Args:
        file: Name of the file.
        position: Row in the file.
        names: Columns that the row has.
        value_of: Value of a column that exists.
        source: Names the columns that are wanted.
    """

    def bad(reason: str) -> BadInput:
        return BadInput(file=file, position=position, reason=reason)

    values: list[str | None] = []
    for name in (source.text_field, source.target_field):
        if name is None:
            values.append(None)
            continue
        if name not in names:
            return bad(f"no key {name!r}; found {_listed(names)}")
        value = value_of(name)
        if isinstance(value, list | tuple) and source.list_join is not None:
            if not all(isinstance(item, str) for item in value):
                return bad(f"{name!r} is a list of other things than strings")
            value = source.list_join.join(value)
        if name == source.target_field and isinstance(value, int | float):
            value = json.dumps(value)
        if not isinstance(value, str):
            hint = "; set list_join to join it" if isinstance(value, list | tuple) else ""
            return bad(f"{name!r} is {_kind(value)}, not a string{hint}")
        values.append(value)
    text, target = values
    assert text is not None
    day = None
    if source.date_field is not None:
        if source.date_field not in names:
            return bad(f"no key {source.date_field!r}; found {_listed(names)}")
        raw = value_of(source.date_field)
        if raw is not None and raw != "":
            day = iso_date(raw)
            if day is None:
                return bad(f"{source.date_field}={str(raw)[:40]!r} is not an ISO 8601 date")
    return Record(file=file, position=position, text=text, target=target, date=day)


def iso_date(value: object) -> str | None:
    """An ISO 8601 date from a date, a date-time or a year; None if it is none of these.

    A bare year stands for its last day, so that `as_of` never lets later text through.
    """
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = str(value).strip()
    if re.fullmatch(r"\d{4}", text):
        text += "-12-31"
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        return None


def date_in_name(name: str) -> str | None:
    """The date in a file's name: the first YYYY-MM-DD, else a year that the name starts with."""
    stem = PurePosixPath(name).name
    full = _NAME_DATE.search(stem)
    if full and (day := iso_date(full[0])):
        return day
    year = _NAME_YEAR.match(stem)
    return iso_date(year[1]) if year else None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", type(None): "null", bool: "a boolean"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else "no text")


def _listed(names: Iterable[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in list(names)[:12])
    return shown or "no keys at all"
