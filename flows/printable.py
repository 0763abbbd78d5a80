"""What may be printed: text of a stranger's, without what moves a terminal's cursor.

Whatever is printed may quote a file's name, a corpus or a registry.  The characters that steer a
terminal (ESC and the rest of C0, DEL, C1, and those that turn the direction of writing) are taken
out of what people read, and escaped in JSON, where they stay what they are.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from typing import Any

#: Beyond ASCII, `json` writes everything as it is; DEL it never escapes.
_NOT_ASCII = re.compile("[^\x00-\x7e]")


def clean(text: object) -> str:
    """Text without control characters other than newline and tab."""
    return "".join(c for c in str(text) if c in "\n\t" or c.isprintable())


def as_json(values: Mapping[str, Any]) -> str:
    """One line of JSON whose every character can be printed.

    Raises:
        ValueError: If a number is not finite.
    """
    text = json.dumps(values, ensure_ascii=False, allow_nan=False)
    return text if text.isprintable() else _NOT_ASCII.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable():
        return character
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


class CleanFormatter(logging.Formatter):
    """Lines of a log as they may be printed."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return clean(super().format(record))
