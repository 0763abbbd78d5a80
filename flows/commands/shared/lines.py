"""A file of inputs, one a line."""

from __future__ import annotations

from pathlib import Path

from flows.home.environment import current
from lmcore.errors import UserError

#: Of a file that is answered as a whole; a device may never end.
MAX_BYTES = 256 << 20


def read_lines(file: Path, *, what: str) -> list[str]:
    """The lines of a file; an empty line is an empty text, so that answers keep their places.

    Args:
        file: As it was typed.
        what: What a line holds, for messages.

    Raises:
        UserError: If it cannot be read, is empty or not UTF-8.
    """
    try:
        with current().resolve(file).open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise UserError(f"{file}: more than {MAX_BYTES >> 20} MiB; give it in several files")
        content = raw.decode("utf-8-sig")
    except OSError as error:
        raise UserError(
            f"{file}: cannot be read ({error.strerror}); expected a text file"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file}: not UTF-8 (byte {error.start}); expected one {what} a line, in UTF-8"
        ) from error
    if not content:
        raise UserError(f"{file}: empty; expected one {what} a line")
    # Other line ends that `splitlines` knows may be part of a text.
    return [line.removesuffix("\r") for line in content.removesuffix("\n").split("\n")]
