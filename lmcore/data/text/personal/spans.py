"""What finders give back: where personal data stands, and of which kind it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Found(NamedTuple):
    """Personal data between two characters of a text."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, kw_only=True)
class Span:
    """Personal data as it stood in a text."""

    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Masked:
    """A text without the personal data that was found.

    Attributes:
        text: The text with placeholders.
        counts: Number of replacements by type.
        spans: What was replaced; not to be stored.
    """

    text: str
    counts: dict[str, int]
    spans: tuple[Span, ...] = field(default=(), repr=False)
