"""JSON in tags: the one reader of what anybody may have typed into MLflow's page.

In: the text of a tag.  Out: its value, or None where it is nothing that we can have written: no
JSON, too long, nested so deeply that whatever walks it would fail, a number that is none, half a
surrogate pair.  What reads a tag goes on without it; what cannot says so itself.
"""

from __future__ import annotations

import json
import math
from typing import Any

from lmcore.nesting import levels

_MOST_CHARACTERS = 8_000_000
_DEEPEST = 32


def read_value(text: str | None) -> Any:
    """The value of a tag; None where it cannot be read, or is null."""
    if text is None or len(text) > _MOST_CHARACTERS:
        return None
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        text.encode("utf-8")
        _check(value)
    except (ValueError, RecursionError):
        return None
    return value


def read_object(text: str | None) -> dict[str, Any] | None:
    """The object in a tag; None where it is none that can be read."""
    value = read_value(text)
    return value if isinstance(value, dict) else None


def _check(value: Any) -> None:
    """Depth and texts."""
    for number, level in enumerate(levels(value)):
        if number == _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep")
        for one in level:
            if isinstance(one, str):
                one.encode("utf-8")


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value
