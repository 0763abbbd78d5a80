"""JSON values that nobody has checked, read as the types that they should have.

In: what an evaluation, a training log or a tag of a registry left; anybody may have edited it.
Out: finite numbers, texts, mappings.  What is missing or of another type is None or empty, so
that no page fails over it or shows a `nan`.  Only modules that read evidence need these; behind
them everything is typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

# Nothing measured is larger, and differences and products of such numbers are still finite.
_LARGEST = 1e100


def finite(value: object) -> float | None:
    """A number; None for NaN, infinity and whatever is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _LARGEST else None


def whole(value: object) -> int | None:
    """A number without its decimals."""
    known = finite(value)
    return None if known is None else int(known)


def text(value: object) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """A mapping; empty for anything else."""
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def items(value: object) -> Sequence[Any]:
    """A list; empty for anything else."""
    return value if isinstance(value, list | tuple) else ()


def mappings(value: object) -> list[Mapping[str, Any]]:
    """Those items of a list that are mappings."""
    return [mapping(item) for item in items(value) if isinstance(item, Mapping)]


def amounts(value: object) -> dict[str, float]:
    """Those entries of a mapping that are numbers and not negative."""
    known = {name: finite(item) for name, item in mapping(value).items()}
    return {name: item for name, item in known.items() if item is not None and item >= 0}


def instant(value: object) -> datetime | None:
    """A time in ISO 8601, in UTC where it names no zone."""
    try:
        found = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
