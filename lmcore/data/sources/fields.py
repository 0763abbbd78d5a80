"""A column by name, or by a path into nested data: `data.article.body`, `messages[].content`.

A name is a name first: a column that is called `a.b` is found by `a.b`.  Else dots
lead into objects, `[]` takes every item of a list and `[0]` one of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_STEP = re.compile(r"(?P<key>[^.\[\]]+)|\[(?P<index>\d*)\]")
_PATH = re.compile(r"(?:[^.\[\]]+|\[\d*\])(?:\.[^.\[\]]+|\[\d*\])*")
_EACH = -1


class MissingFieldError(Exception):
    """A path that leads nowhere in a record.

    Attributes:
        step: The part of the path that was not found.
        found: What is there instead.
    """

    def __init__(self, step: str, found: str) -> None:
        super().__init__(f"no {step!r}; found {found}")
        self.step = step
        self.found = found


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """What `[]` took from a list: several values, in order."""

    values: tuple[object, ...]


def column_of(path: str, columns: Sequence[str]) -> str | None:
    """The column of a table that a path begins in; None if there is none."""
    if path in columns:
        return path
    steps = _steps(path)
    first = steps[0] if steps else None
    return first if isinstance(first, str) and first in columns else None


def value_at(row: Mapping[str, Any], path: str) -> object:
    """The value that a path leads to; `Gathered` where it goes through `[]`.

    Raises:
        MissingFieldError: If there is no such value.
    """
    if path in row:
        return row[path]
    steps = _steps(path)
    if not steps:
        raise MissingFieldError(path, listed(row))
    return _follow(row, steps)


def _follow(value: Any, steps: tuple[str | int, ...]) -> object:
    for number, step in enumerate(steps):
        if step == _EACH:
            if not isinstance(value, list | tuple):
                raise MissingFieldError("[]", kind_of(value))
            rest = steps[number + 1 :]
            return Gathered(values=tuple(_flat(_follow(item, rest) for item in value)))
        if isinstance(step, int):
            if not isinstance(value, list | tuple) or step >= len(value):
                raise MissingFieldError(f"[{step}]", kind_of(value))
        elif not isinstance(value, Mapping):
            raise MissingFieldError(step, kind_of(value))
        elif step not in value:
            raise MissingFieldError(step, listed(value))
        value = value[step]
    return value


def _flat(values: Any) -> Any:
    for value in values:
        if isinstance(value, Gathered):
            yield from value.values
        else:
            yield value


@lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[str | int, ...]:
    if not _PATH.fullmatch(path):
        return ()
    return tuple(
        match["key"] if match["key"] is not None else int(match["index"] or _EACH)
        for match in _STEP.finditer(path)
    )


def kind_of(value: object) -> str:
    """What a value is, in the words of JSON."""
    names = {list: "a list", tuple: "a list", type(None): "null", bool: "a boolean", str: "a text"}
    if isinstance(value, Mapping):
        return "an object"
    return names.get(type(value), "a number" if isinstance(value, int | float) else "no text")


def listed(names: Mapping[str, Any] | Sequence[str]) -> str:
    """The first columns by name, for a message."""
    shown = ", ".join(repr(str(name)[:40]) for name in list(names)[:12])
    return shown or "no keys at all"
