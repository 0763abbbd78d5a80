"""How many of what, as people say it: `1 document`, `1,291 steps`."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what it counts.

    Args:
        number: How many.
        one: The name of one.
        many: The name of several; without it `one` with an `s`.
    """
    return f"{number:,} {named(number, one, many)}"


def named(number: float, one: str, many: str = "") -> str:
    """What a number counts, without the number."""
    return one if number == 1 else many or f"{one}s"
