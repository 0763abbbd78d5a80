"""Markdown: its text as it stands, and the front matter as columns beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any

import yaml

from lmcore.data.sources.formats.text import whole_text
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import BadInput, Piece, Row
from lmcore.errors import ConfigError
from lmcore.yaml_file import parse_yaml

MAX_FRONT_MATTER = 1 << 16
_END = re.compile(r"^(?:---|\.\.\.)[ \t]*\r?$\n?", re.MULTILINE)


def read_markdown(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One file: `text` and each key of the front matter."""
    text = whole_text(stream, reading)
    if isinstance(text, BadInput):
        yield text
        return
    values, body = split_front_matter(text.removeprefix("\ufeff"))
    yield Row(file=reading.name, position=0, values={**values, "text": body})


def split_front_matter(text: str) -> tuple[dict[str, Any], str]:
    """The mapping between two lines of dashes at the very beginning, and what follows it.

    Text that begins with a rule of dashes has none and stays whole.
    """
    first, newline, rest = text.partition("\n")
    end = _END.search(rest[:MAX_FRONT_MATTER]) if newline and first.rstrip() == "---" else None
    if end is None:
        return {}, text
    try:
        values = parse_yaml(rest[: end.start()])
    except (yaml.YAMLError, ConfigError, ValueError, RecursionError):
        return {}, text
    return (values, rest[end.end() :]) if isinstance(values, dict) else ({}, text)
