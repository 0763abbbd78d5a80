"""What readers hand over: a record of text, or a piece of bad input with its reason.

In: values of a table row or a JSON object.  Out: `Record` or `BadInput`.  Bad
input is a value and not an exception, so that one bad line never ends a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lmcore.data.config import SourceConfig
from lmcore.data.sources.dates import is_missing, iso_date
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
        if name == source.target_field:
            try:
                value = label(value, name=name)
            except ValueError as error:
                return bad(str(error))
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
        if not is_missing(raw):
            day = iso_date(raw)
            if day is None:
                return bad(f"{source.date_field}={str(raw)[:40]!r} is not an ISO 8601 date")
    return Record(file=file, position=position, text=text, target=target, date=day)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", type(None): "null", bool: "a boolean"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else "no text")


def _listed(names: Iterable[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in list(names)[:12])
    return shown or "no keys at all"
