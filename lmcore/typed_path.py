"""Paths as people type them: what none can be is told before a file system is asked."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path

from lmcore.errors import UserError

#: Bounds of Linux; other systems have the first one too.
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4095
_SHOWN = 80
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_address(text: str) -> bool:
    """Whether what was typed is an address (`s3://bucket/folder`) and no path."""
    return _ADDRESS.match(text) is not None


def typed_path(text: str | Path, *, base: Path, key: str = "") -> Path:
    """A path, absolute, with the home of a user for `~`.

    Args:
        text: As it was typed.
        base: Where relative paths start.
        key: What it was typed for, for messages.

    Raises:
        UserError: If no file can be called so.
    """
    shown = repr(str(text)) if len(str(text)) <= _SHOWN else f"{str(text)[:_SHOWN]!r}..."
    named = f"{key}={shown}" if key else shown
    try:
        path = (base / Path(text).expanduser()).absolute()
    except RuntimeError as error:
        raise UserError(f"{named}: nobody here has that home; write the path out") from error
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise UserError(f"{named}: no file can be called so ({error.reason}); change it") from error
    if b"\0" in raw:
        raise UserError(f"{named}: no path holds the character U+0000; take it out")
    # A part of a pattern may be longer than the names that it means.
    longest = max((len(part) for part in raw.split(b"/") if not glob.has_magic(part)), default=0)
    if longest > MAX_NAME_BYTES or len(raw) > MAX_PATH_BYTES:
        raise UserError(
            f"{named}: too long for a path ({len(raw):,} bytes, and the longest name in it has"
            f" {longest:,}); expected at most {MAX_PATH_BYTES:,}, and {MAX_NAME_BYTES} for a name"
        )
    return path
