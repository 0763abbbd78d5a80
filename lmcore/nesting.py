"""Lists and objects in each other, as JSON has them, level by level and without a recursion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def levels(value: Any) -> Iterator[list[Any]]:
    """The value, then what it holds (keys too), then what that holds, and so on to the end."""
    level = [value]
    while level:
        yield level
        below: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                below += [*one.keys(), *one.values()]
            elif isinstance(one, list):
                below += one
        level = below


def is_deeper(value: Any, most: int) -> bool:
    """Whether a value has more levels than that."""
    return any(number == most for number, _ in enumerate(levels(value)))
