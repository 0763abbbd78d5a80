"""Files that a library reads as a whole: bounded, and with any error of the library told.

An office file is an archive of XML, a PDF a program of its own: whoever wrote it
may have meant harm.  So its size is bounded before a library sees it, what an archive
says that it unpacks to is bounded too, and whatever the library raises is a reason to
set the file aside.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import IO

from lmcore.data.sources.archives import READ_ERRORS
from lmcore.data.sources.bombs import BombError, allowed_bytes
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Piece
from lmcore.errors import SourceError, UserError

MAX_FILE_BYTES = 256 << 20
MAX_UNPACKED_BYTES = 512 << 20

Items = Callable[[IO[bytes], Reading], Iterator[Piece]]


def read_whole(
    stream: IO[bytes], reading: Reading, *, kind: str, items: Items, is_archive: bool = False
) -> Iterator[Piece]:
    """Read a file in one piece by a library.

    Args:
        stream: Its bytes.
        reading: What is known of it.
        kind: Its kind, for messages.
        items: Makes records of it.
        is_archive: Whether it is a zip archive inside, as office files are.

    Raises:
        SourceError: If the library is not installed, or a named column is missing.
    """
    try:
        raw = stream.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            yield reading.bad(0, f"a {kind} file of more than {MAX_FILE_BYTES >> 20} MiB")
            return
        if is_archive:
            _check_archive(raw)
        yield from items(io.BytesIO(raw), reading)
    except ImportError as error:
        raise missing_library(error, reading.name, kind=kind) from error
    except MemoryError:  # no fault of the format
        raise
    except Exception as error:  # a library raises what it likes on a damaged file
        if isinstance(error, (UserError, *READ_ERRORS)):
            raise
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        yield reading.bad(0, f"not {kind} that can be read: {reason}")


def missing_library(error: ImportError, name: str, *, kind: str) -> SourceError:
    """What to install for a kind of file."""
    return SourceError(
        f"{name}: reading {kind} needs a library that is not installed ({error.name}); pip install"
        " 'lmcore[office]', or leave such files out by files: PATTERN"
    )


def _check_archive(raw: bytes) -> None:
    """Refuse an archive that unpacks to absurdly much; `zipfile` never unpacks more than it says.

    Raises:
        BombError: If it does.
        BadZipFile: If it is no archive.
    """
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > MAX_UNPACKED_BYTES or unpacked > allowed_bytes(len(raw)):
        raise BombError(f"unpacks to {unpacked:,} bytes, as a decompression bomb does")
