"""How a command ends that cannot answer: one sentence on stderr and, with `--json`, one object.

Exit codes: 2 the input is wrong, 1 anything else.  A traceback is shown of what nobody expected.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import traceback
from pathlib import Path

import click

from flows.commands.shared import text
from lmcore.durable import file_of, storage_error, storage_number
from lmcore.errors import LmcoreError

#: Of what is said; it may quote an argument as long as a book.
MAX_SENTENCE = 2000
_FULL_DISK_BYTES = 1 << 20
# What the system says of a path that somebody named, wherever it was met.
_OF_A_PATH = {
    errno.EACCES: "nobody here may use it",
    errno.EISDIR: "it is a folder",
    errno.ELOOP: "its links lead in a circle",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENOTDIR: "a part of it is no folder",
    errno.EPERM: "nobody here may use it",
    errno.EROFS: "nothing can be written there",
}


def report(error: BaseException, *, as_json: bool) -> int:
    """Say what went wrong.

    Returns:
        The exit code.
    """
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        _close_output()
        return 1
    message, code = _sentence(error)
    text.line(f"lmcore: {text.one_line(message, MAX_SENTENCE)}", err=True)
    if as_json:
        try:
            text.json_line({"error": message[:MAX_SENTENCE], "exit_code": code})
        except BrokenPipeError:
            _close_output()
    return code


def _sentence(error: BaseException) -> tuple[str, int]:
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return "stopped by the user", 1
    if isinstance(error, click.ClickException):
        return error.format_message(), 2
    if isinstance(error, LmcoreError):
        return str(error), error.exit_code
    if isinstance(error, OSError) and error.errno in _OF_A_PATH and error.filename is not None:
        return f"{error.filename}: {_OF_A_PATH[error.errno]} ({error.strerror}); name another", 2
    sentence = disk_failure(error, Path(os.environ.get("LMCORE_HOME") or ".lmcore"))
    if sentence is None:
        # Its last line is the sentence, which is told below.
        where = "".join(traceback.format_exception(error)[:-1]).rstrip()
        logging.getLogger("lmcore").error("unexpected error\n%s", where)
    return sentence or f"{type(error).__name__}: {error}", 1


def _close_output() -> None:
    """Nobody reads any more; without this the interpreter would complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def disk_failure(error: BaseException, home: Path) -> str | None:
    """What to tell the user where something broke of a full or failing disk; None: it did not.

    Servers and databases say so in words of their own, or say something else, so what is left on
    the home's disk counts too.

    Args:
        error: What broke.
        home: LMCORE_HOME.
    """
    number = storage_number(error)
    try:
        if number is None and shutil.disk_usage(home).free < _FULL_DISK_BYTES:
            number = errno.ENOSPC
    except OSError:
        return None
    return None if number is None else str(storage_error(file_of(error) or home, number))
