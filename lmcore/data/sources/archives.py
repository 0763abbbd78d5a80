"""Compressed files and archives as bounded streams: nothing is ever extracted to disk.

In: a path.  Out: readable byte streams, one per file or archive member.  An
archive is hostile until proven otherwise: `tarfile` has escaped its own
extraction filter more than once (CVE-2025-4517 and its family), so members are
only ever streamed by name, links, devices and paths that leave the archive are
refused, and a meter stops what unpacks to absurdly more than it holds.
"""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal, cast

import zstandard

from lmcore.data.sources.apart.limits import UnreadableError
from lmcore.data.sources.bombs import BombError, Meter, allowed_bytes
from lmcore.data.sources.tape import tar_members
from lmcore.errors import LmcoreError

MAX_MEMBERS = 1_000_000
_ZSTD_WINDOW_BYTES = 128 << 20
# Four bytes of Zstandard may stand for 128 KiB, so this many become at most 32 MiB at a time.
_ZSTD_PIECE_BYTES = 1 << 10
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BUFFER_BYTES = 1 << 18

Container = Literal["plain", "gzip", "zstd", "zip", "tar"]


# What reading a damaged, hostile or forbidden file may raise; all of it is bad input.
READ_ERRORS: tuple[type[Exception], ...] = (
    BombError,
    OSError,
    EOFError,
    NotImplementedError,  # an unknown zip compression
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    zstandard.ZstdError,
)


def why_unreadable(error: Exception) -> str:
    """The reason to set a file or member aside because of what reading it raised.

    A reader, or the library behind it, may meet what nobody thought of; that costs one file.

    Raises:
        LmcoreError, AssertionError: As they are: a setting or this machine is wrong, or we are.
    """
    if isinstance(error, LmcoreError | AssertionError):
        raise error
    if isinstance(error, UnreadableError):
        return str(error)
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, BombError):
        return reason
    if isinstance(error, READ_ERRORS):
        return f"damaged: {reason}"
    return f"cannot be read: {type(error).__name__}: {reason}"


@dataclass(frozen=True, kw_only=True)
class Member:
    """A readable part of a file: the file itself, or one member of an archive.

    Attributes:
        name: Path inside the archive; empty for a file that is no archive.
        stream: Its bytes, or None where it is refused.
        refusal: Why it is refused.
        beside: Names of all members, where the archive lists them in one place (zip).
    """

    name: str
    stream: IO[bytes] | None
    refusal: str = ""
    beside: Sequence[str] = ()


class _Metered(io.RawIOBase):
    def __init__(self, inner: IO[bytes], meter: Meter) -> None:
        self._inner = inner
        self._meter = meter

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(len(buffer))
        self._meter.add(len(data))
        buffer[: len(data)] = data
        return len(data)


class _ZstdFrames(io.RawIOBase):
    """What Zstandard frames hold, one behind the other.

    The library's own reader takes the end of the file for the end of the text, wherever in a frame
    it comes; a frame that is not whole must not pass for one.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        self._frame: Any = None
        self._unread = b""
        self._unpacked = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._unpacked:
            packed = self._unread or self._raw.read(_ZSTD_PIECE_BYTES)
            self._unread = b""
            if not packed:
                if self._frame is not None:
                    raise EOFError("ends in the middle of a Zstandard frame")
                return 0
            if self._frame is None:
                self._frame = self._unpacker.decompressobj()
            self._unpacked = memoryview(self._frame.decompress(packed))
            if self._frame.eof:
                self._unread, self._frame = self._frame.unused_data, None
        size = min(len(buffer), len(self._unpacked))
        buffer[:size] = self._unpacked[:size]
        self._unpacked = self._unpacked[size:]
        return size


def container(name: str) -> Container:
    """How a file is packed, by its name."""
    lower = name.lower()
    if lower.endswith(".zip"):
        return "zip"
    if lower.endswith((".tar", ".tgz", ".tar.gz", ".tar.zst")):
        return "tar"
    if lower.endswith(".gz"):
        return "gzip"
    return "zstd" if lower.endswith(".zst") else "plain"


def content_name(name: str) -> str:
    """The file's name without the suffix of its compression."""
    return name.rpartition(".")[0] if container(name) in ("gzip", "zstd") else name


def open_members(path: Path, *, name: str) -> Generator[Member, None, None]:
    """Stream a file: itself, decompressed, or each member if it is an archive.

    Each stream is valid until the next member is asked for.

    Raises:
        OSError, EOFError, BombError and the other `READ_ERRORS`: While opening or reading.
    """
    kind = container(name)
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb", buffering=_BUFFER_BYTES))
        if kind == "plain":
            yield Member(name="", stream=raw)
        elif kind == "zip":
            yield from _zip_members(raw, size=path.stat().st_size)
        elif kind == "tar":
            inner, size = _unpack(raw, name.lower(), stack), path.stat().st_size
            yield from _tar_members(inner, most_bytes=size if inner is raw else allowed_bytes(size))
        else:
            yield Member(name="", stream=_unpack(raw, name.lower(), stack))


def _unpack(raw: IO[bytes], name: str, stack: ExitStack) -> IO[bytes]:
    if name.endswith((".gz", ".tgz")):
        inner = cast(IO[bytes], stack.enter_context(gzip.GzipFile(fileobj=raw)))
    elif name.endswith(".zst"):
        inner = cast(IO[bytes], stack.enter_context(_ZstdFrames(raw)))
    else:
        return raw
    return io.BufferedReader(_Metered(inner, Meter(raw.tell)), _BUFFER_BYTES)


def _zip_members(raw: IO[bytes], *, size: int) -> Iterator[Member]:
    with _names_as_archive_errors():
        opened = zipfile.ZipFile(raw)
    with opened as archive:
        infos = sorted(archive.infolist(), key=lambda info: info.filename)
        _check_count(len(infos))
        meter = Meter(lambda: size)
        names = tuple(info.filename for info in infos)
        for info in infos:
            if info.filename.endswith("/"):
                continue
            refusal = _unsafe(info.filename)
            mode = info.external_attr >> 16
            if not refusal and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                refusal = "a link or a device inside an archive is never followed"
            if not refusal and info.flag_bits & 1:
                refusal = "encrypted"
            if not refusal and info.compress_type not in _METHODS:
                # The library unpacks these at one go: 45 MB from 40 bytes of bzip2.
                refusal = "packed by another method than store and deflate; pack it by one of them"
            if refusal:
                yield Member(name=info.filename, stream=None, refusal=refusal)
                continue
            with _names_as_archive_errors():
                member = archive.open(info)
            with member as inner:
                stream = io.BufferedReader(_Metered(inner, meter), _BUFFER_BYTES)
                yield Member(name=info.filename, stream=stream, beside=names)


@contextmanager
def _names_as_archive_errors() -> Iterator[None]:
    """A name that claims to be UTF-8 and is not: `zipfile` lets the decoder's error through."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise zipfile.BadZipFile(f"the name of a member is no UTF-8 ({error.reason})") from error


def _tar_members(stream: IO[bytes], *, most_bytes: int) -> Iterator[Member]:
    for number, (info, inner) in enumerate(tar_members(stream, most_bytes=most_bytes)):
        _check_count(number)
        if info.isdir():
            continue
        refusal = _unsafe(info.name)
        if not refusal and inner is None:
            refusal = "a link, a device or a sparse member inside an archive is never followed"
        yield Member(name=info.name, stream=None if refusal else inner, refusal=refusal)


def _check_count(number: int) -> None:
    if number > MAX_MEMBERS:
        raise BombError(f"holds more than {MAX_MEMBERS:,} members")


def _unsafe(name: str) -> str:
    if not name:
        return "it has no name"
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or name[1:2] == ":" or "\0" in name:
        return "its name leads out of the archive"
    if container(name) != "plain":
        return "a packed file inside an archive is not opened"
    return ""
