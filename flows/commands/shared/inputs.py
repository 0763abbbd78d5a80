"""Texts that a command is given: a file with one a line, or standard input.

In: a path as it was typed, where `-` is standard input.  Out: text, bounded in size and UTF-8, or
one sentence why not.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.home.environment import current
from lmcore.errors import UserError

#: What stands for standard input where a file or a text is given.
STANDARD_INPUT = "-"
#: Of a file that is answered as a whole; a device may never end.
MAX_BYTES = 256 << 20
_STANDARD_INPUT = "standard input"


def read_lines(file: Path, *, what: str) -> list[str]:
    """The lines of a file; an empty line is an empty text, so that answers keep their places.

    Args:
        file: As it was typed.
        what: What a line holds, for messages.

    Raises:
        UserError: If it cannot be read, is empty or not UTF-8.
    """
    if str(file) == STANDARD_INPUT:
        content = _decoded(_STANDARD_INPUT, _piped(f"one {what} a line"), f"one {what} a line")
        return _lines(content)
    try:
        with current().resolve(file).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({error.strerror}); expected a text file"
        ) from error
    return _lines(_decoded(str(file), raw, f"one {what} a line"))


def is_piped() -> bool:
    """Whether standard input may hold a text: it is no terminal and not closed."""
    try:
        return sys.stdin is not None and not sys.stdin.isatty()
    except ValueError:  # closed
        return False


def read_standard_input(what: str, *, missing: str = "") -> str:
    """All of standard input as one text, without the line end that `echo` puts behind it.

    Args:
        what: It is, for messages.
        missing: What to say where there is none; without it that a text can be piped in.

    Raises:
        UserError: If it is a terminal, empty, too large or not a text in UTF-8.
    """
    raw = _piped(what) if is_piped() or not missing else b""
    if not raw and missing:
        raise UserError(missing)
    content = _decoded(_STANDARD_INPUT, raw, what)
    return content.removesuffix("\n").removesuffix("\r")


@contextmanager
def file_of(path: Path, *, what: str) -> Iterator[Path]:
    """A file as it was typed; of standard input a copy that goes with the context.

    Raises:
        UserError: As of `read_standard_input`.
    """
    if str(path) != STANDARD_INPUT:
        yield current().resolve(path)
        return
    content = read_standard_input(what)
    with tempfile.TemporaryDirectory(dir=current().temporary) as folder:
        copy = Path(folder) / "standard-input.txt"
        copy.write_text(content, encoding="utf-8", newline="")
        yield copy


def _piped(what: str) -> bytes:
    if not is_piped():
        raise UserError(
            f"{_STANDARD_INPUT}: a terminal, from which nothing is read; pipe {what} into it, as in"
            " `lmcore ... < FILE`"
        )
    # A pipe of somebody who has ended may be closed.
    try:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(
            f"{_STANDARD_INPUT}: cannot be read ({error.strerror}); pipe {what} into it"
        ) from error


def _decoded(name: str, raw: bytes, what: str) -> str:
    if len(raw) > MAX_BYTES:
        raise UserError(f"{name}: more than {MAX_BYTES >> 20} MiB; give it in several parts")
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}: not UTF-8 (byte {error.start}); expected {what}, in UTF-8"
        ) from error
    if not content:
        raise UserError(f"{name}: empty; expected {what}")
    if name == _STANDARD_INPUT and "\0" in content:
        raise UserError(f"{name}: no text (it holds U+0000); expected {what}, in UTF-8")
    return content


def _lines(content: str) -> list[str]:
    # Other line ends that `splitlines` knows may be part of a text.
    return [line.removesuffix("\r") for line in content.removesuffix("\n").split("\n")]
