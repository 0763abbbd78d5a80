"""Files that survive a power cut, and errors of a disk that say which file and why.

In: bytes and a path.  Out: the file as it was or as it should be, never a mix: a temporary file in
the same directory, flush, fsync, `os.replace`, fsync of the directory.

Libraries tell a full or failing disk in words of their own, `fsync` and `write` without the file's
name, and some forget the number of the error.  `storing` makes one `StorageError` of them all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from lmcore.errors import LmcoreError, StorageError, UserError

#: What a disk says; anything else that an operating system may answer has another cause.
_NUMBERS = {
    errno.ENOSPC: "no space is left on its disk",
    errno.EDQUOT: "the quota of its disk is used up",
    errno.EFBIG: "it may not grow any further",
    errno.EIO: "its disk fails",
    errno.EROFS: "its disk can only be read",
}
_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WORDS = {
    errno.ENOSPC: r"no space left on device|os error 28\b|errno 28\b|database or disk is full"
    r"|\d+ requested and \d+ written",
    errno.EDQUOT: r"disk quota exceeded|os error 122\b|errno 122\b",
    errno.EFBIG: r"file too large|os error 27\b|errno 27\b",
    errno.EIO: r"input/output error|os error 5\b|errno 5\b|disk i/o error",
    errno.EROFS: r"read-only file system|os error 30\b|errno 30\b|readonly database",
}
_PATTERNS = {number: re.compile(words, re.IGNORECASE) for number, words in _WORDS.items()}


def storage_number(error: BaseException) -> int | None:
    """The number of the disk's error that this one, or one that it follows from, tells; or None."""
    for link in _causes(error):
        if isinstance(link, OSError) and link.errno in _NUMBERS:
            return link.errno
        if (found := number_in(str(link))) is not None:
            return found
    return None


def number_in(text: str) -> int | None:
    """The number of the disk's error that a library tells in words; or None."""
    return next((n for n, pattern in _PATTERNS.items() if pattern.search(text)), None)


def storage_error(path: Path | str, number: int) -> StorageError:
    """One sentence: the file, what its disk said, and what to do."""
    if number in _ROOM:
        advice = "make room there, and the same command goes on from what is already stored"
    else:
        advice = (
            "let the disk be looked at or copy the folder to another one; the same command then"
            " goes on from what is already stored"
        )
    error = StorageError(f"{path}: {_NUMBERS[number]} ({os.strerror(number)}); {advice}.")
    error.errno, error.strerror = number, os.strerror(number)
    return error


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Make one sentence of whatever a full or failing disk raises inside.

    Args:
        path: What is being stored; an error that names a file itself is believed.

    Raises:
        StorageError: Where it was the disk; any other error comes through as it is.
    """
    try:
        yield
    except LmcoreError:
        raise
    except Exception as error:
        if (number := storage_number(error)) is None:
            raise
        raise storage_error(file_of(error) or path, number) from error


def file_of(error: BaseException) -> str | None:
    """The file that an error of the disk names, or one that this one follows from; or None."""
    for link in _causes(error):
        if isinstance(link, OSError) and link.errno in _NUMBERS:
            named = link.filename
            if isinstance(named, str | bytes):
                return os.fsdecode(named)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def fsync_directory(path: Path) -> None:
    """Make renames inside `path` durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _spare_devices(path: Path) -> None:
    """Refuse to put a file where none was: who may do anything would lose /dev/null for all."""
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise UserError(
                f"{path}: a device, a pipe or a socket, which a file would replace; give the path"
                " of a file."
            )


def atomic_write(path: Path, data: bytes | str, *, mode: int | None = None) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never a mix.

    A failed fsync is not retried: the kernel may have dropped the pages
    (Rebello et al., USENIX ATC 2020), so the temporary file is discarded.

    Args:
        path: The file.
        data: All of its content.
        mode: Who may read it; default what the process' umask leaves.

    Raises:
        UserError: If a device, a pipe or a socket is there, which the file would replace.
        StorageError: If its disk is full or fails.
    """
    payload = data.encode() if isinstance(data, str) else data
    _spare_devices(path)
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o666 if mode is None else mode)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                if mode is not None:
                    os.fchmod(descriptor, mode)
                stream.write(payload)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        fsync_directory(path.parent)
