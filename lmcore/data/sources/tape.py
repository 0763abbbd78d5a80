"""Tar archives read from front to back, with headers that cannot be believed.

In: a stream of bytes.  Out: members, one behind the other.  `tarfile` believes what a header says:
it skips 2^80 bytes one buffer at a time, looks for numbers in a megabyte of digits for hours, ends
in silence where a later header is damaged, and fails at maps of sparse files in ways of its own.
So sizes are compared with what the archive can hold, maps are not read at all (sparse members are
refused), and whatever else is wrong with a header is one error, behind which nothing is read.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from typing import IO, Any, Self, cast

from lmcore.data.sources.bombs import BombError
from lmcore.settings import short

MAX_HEADER_BYTES = 1 << 20
_SKIP_BYTES = 1 << 18
_WITH_TEXT = frozenset(
    (
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )
)
# `tarfile` looks for numbers from each digit on, which takes the square of their number.
_DIGITS = re.compile(rb"[0-9]{100}")


def tar_members(
    stream: IO[bytes], *, most_bytes: int
) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Every member and its bytes, if it is a plain file; valid until the next one is asked for.

    Args:
        stream: The archive, unpacked.
        most_bytes: That it can hold.

    Raises:
        TarError: If it is damaged; nothing behind that place can be read.
        BombError: If its headers are absurdly large.
    """
    with _Archive(stream, most_bytes=most_bytes) as archive:
        while (info := archive.next()) is not None:
            # Nobody goes back, so its index would only fill the memory.
            archive.members.clear()  # type: ignore[attr-defined]
            is_plain = info.isreg() and not info.issparse()
            yield info, archive.extractfile(info) if is_plain else None


class _Archive(tarfile.TarFile):
    """Knows how much it can hold, and how much its headers for all members hold together."""

    def __init__(self, stream: IO[bytes], *, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.header_bytes = 0
        forwards = cast(IO[bytes], _Forwards(stream))
        super().__init__(fileobj=forwards, tarinfo=_Header, errors="backslashreplace")


class _Forwards(io.RawIOBase):
    """A stream with a place in it: to go on is to read, and nobody can go back."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner
        self._place = 0
        self._pushed = b""

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert size >= 0
        data, self._pushed = self._pushed[:size], self._pushed[size:]
        if len(data) < size:
            data += self._inner.read(size - len(data))
        self._place += len(data)
        return data

    def unread(self, data: bytes) -> None:
        self._pushed = data + self._pushed
        self._place -= len(data)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        assert whence == io.SEEK_SET
        if place < self._place:
            raise tarfile.ReadError("a header leads back to what was read already")
        while self._place < place:
            if not self.read(min(_SKIP_BYTES, place - self._place)):
                raise tarfile.ReadError("unexpected end of data")
        return self._place


class _Header(tarfile.TarInfo):
    """A header whose sizes are compared with the archive, and whose parts are bounded."""

    @classmethod
    def fromtarfile(cls, archive: Any) -> Self:
        """The next header.

        Raises:
            HeaderError: Where the archive ends.
            ReadError: If the header cannot be believed.
        """
        try:
            found = super().fromtarfile(archive)
        except (tarfile.EOFHeaderError, tarfile.EmptyHeaderError):  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"the header of a member: {error}") from error
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            if isinstance(error, BombError):
                raise
            raise tarfile.ReadError(f"the header of a member: {str(error)[:80]}") from error
        end = max(archive.offset, found.offset_data + (0 if found.issparse() else found.size))
        if found.size < 0 or end > archive.most_bytes + tarfile.BLOCKSIZE:
            raise tarfile.ReadError(
                f"{found.name[:80]!r} claims {short(found.size)} bytes, which the archive does not"
                " hold; nothing behind it is read"
            )
        return found

    def _proc_member(self, archive: Any) -> tarfile.TarInfo:
        if self.type in _WITH_TEXT:
            if self.size > MAX_HEADER_BYTES:
                raise BombError(f"holds a header of {self.size:,} bytes")
            archive.header_bytes += self.size * (self.type == tarfile.XGLTYPE)
            if archive.header_bytes > MAX_HEADER_BYTES:
                raise BombError(f"holds headers for all members of {archive.header_bytes:,} bytes")
            text = archive.fileobj.read(self._block(self.size))  # type: ignore[attr-defined]
            archive.fileobj.unread(text)
            if self.type not in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK) and (
                _DIGITS.search(text) is not None
            ):
                raise tarfile.ReadError("a header with a number of 100 digits")
        return cast(tarfile.TarInfo, super()._proc_member(archive))  # type: ignore[misc]

    def _proc_sparse(self, archive: Any) -> tarfile.TarInfo:
        _, extended, _ = self._sparse_structs  # type: ignore[attr-defined]
        while extended:
            block = archive.fileobj.read(tarfile.BLOCKSIZE)
            if len(block) < tarfile.BLOCKSIZE:
                raise tarfile.ReadError("unexpected end of data")
            extended = bool(block[504])
        self.sparse = b""
        self.offset_data = archive.fileobj.tell()
        archive.offset = self.offset_data + self._block(self.size)  # type: ignore[attr-defined]
        return self

    def _proc_gnusparse_00(self, found: Any, headers: Any, text: bytes) -> None:
        found.sparse = []

    def _proc_gnusparse_01(self, found: Any, headers: Any) -> None:
        found.sparse = []

    def _proc_gnusparse_10(self, found: Any, headers: Any, archive: Any) -> None:
        found.sparse = []  # the map is part of the data
