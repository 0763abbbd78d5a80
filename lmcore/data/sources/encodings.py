"""Bytes of any encoding as UTF-8: marks are followed, names obeyed, guesses told but not used.

In: a byte stream and the encoding that the configuration names, if any.  Out: a
stream of UTF-8.  A file whose first bytes are a mark of UTF-16 or UTF-32 says what
it is.  Bytes that an encoding does not know come out as bytes that UTF-8 does not
know either, so that they cost the line or row that they stand in and nothing else.
"""

from __future__ import annotations

import codecs
import io
from typing import IO, cast

#: Bytes that are looked at where a guess is needed, and before a file is read.
SAMPLE_BYTES = 1 << 16
#: From fewer bytes beyond ASCII nothing can be told.
MIN_FOREIGN_BYTES = 3
_CHUNK = 1 << 16
_UTF8_MARK = b"\xef\xbb\xbf"
# The marks of UTF-32 begin with those of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: What office files are written in; a longer list makes guesses from short texts worse.
CANDIDATES = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("koi8_r", "gb18030", "big5", "cp932", "euc_jp", "cp949"),
]
_ERRORS = "lmcore.unknown_bytes"


def _unknown_bytes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\udc80", error.end  # a lone surrogate, which is no text in UTF-8


codecs.register_error(_ERRORS, _unknown_bytes)


def marked_encoding(head: bytes) -> str | None:
    """The encoding that a file's first bytes name; None for UTF-8 and for files without a mark."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def as_utf8(stream: IO[bytes], *, encoding: str | None) -> io.BufferedReader:
    """The text of a stream as UTF-8 without a mark.

    Args:
        stream: Buffered bytes, at their beginning.
        encoding: Of the bytes; None: what their mark says, else UTF-8.
    """
    buffered = cast(io.BufferedReader, stream)
    head = peek(buffered)
    if head.startswith(_UTF8_MARK):
        buffered.read(len(_UTF8_MARK))
        return buffered
    encoding = encoding or marked_encoding(head)
    if encoding is None or codecs.lookup(encoding).name == "utf-8":
        return buffered
    if codecs.lookup(encoding).name in ("utf-16", "utf-32"):
        # Without a mark the codec would take the order of this machine.
        encoding = marked_encoding(head) or encoding + "-le"
    return io.BufferedReader(_Transcoded(buffered, encoding), _CHUNK)


def peek(stream: IO[bytes]) -> bytes:
    """The first bytes of a buffered stream, which stay in it."""
    look = getattr(stream, "peek", None)
    return bytes(look(SAMPLE_BYTES)[:SAMPLE_BYTES]) if look is not None else b""


class _Transcoded(io.RawIOBase):
    def __init__(self, inner: IO[bytes], encoding: str) -> None:
        self._inner = inner
        self._decoder = codecs.getincrementaldecoder(encoding)(_ERRORS)
        self._pending = b""
        self._begun = self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._pending and not self._ended:
            raw = self._inner.read(_CHUNK)
            text = self._decoder.decode(raw, final=not raw)
            if text and not self._begun:
                text, self._begun = text.removeprefix("\ufeff"), True
            self._pending, self._ended = text.encode("utf-8", "surrogatepass"), not raw
        piece = self._pending[: len(buffer)]
        buffer[: len(piece)] = piece
        self._pending = self._pending[len(piece) :]
        return len(piece)


class Misread:
    """Says of bytes that they are no text in their encoding, with a guess of what they may be.

    The guess is made once for a file, of its beginning where that is at fault.
    """

    def __init__(self, encoding: str | None, head: bytes) -> None:
        self.encoding = encoding or marked_encoding(head)
        self.head = head
        self._said: str | None = None

    def reason(self, data: bytes) -> str:
        """Why these bytes are set aside."""
        if self._said is None:
            self._said = self._reason(data)
        return self._said

    def _reason(self, data: bytes) -> str:
        if self.encoding is not None:
            return f"invalid {self.encoding}"
        guessed = guess(data if is_utf8(self.head) else self.head)
        hint = f"; it reads like {guessed}: set encoding: {guessed} if it is" if guessed else ""
        return f"invalid UTF-8{hint}"


def guess(sample: bytes) -> str | None:
    """The encoding that bytes which are no UTF-8 seem to be in, if any seems likely."""
    if (unmarked := unmarked_utf16(sample)) is not None:
        return unmarked
    if sum(byte >= 0x80 for byte in sample) < MIN_FOREIGN_BYTES:
        return None
    from charset_normalizer import from_bytes

    found = from_bytes(sample[:SAMPLE_BYTES], cp_isolation=CANDIDATES, enable_fallback=False)
    best = found.best()
    if best is None:
        return None
    # Where two name the same text, the more usual one is named.
    western = sample[:SAMPLE_BYTES].decode("cp1252", "replace")
    return "cp1252" if western == str(best) else best.encoding


def unmarked_utf16(sample: bytes) -> str | None:
    """The byte order of text that looks like UTF-16 without a mark: every other byte is zero."""
    pairs = len(sample) // 2
    for name, zeros, others in (
        ("utf-16-le", sample[1::2], sample[::2]),
        ("utf-16-be", sample[::2], sample[1::2]),
    ):
        # Text of European languages; other scripts have no zeros to be told by.
        if pairs >= 4 and zeros.count(0) > 0.8 * pairs and others.count(0) < 0.05 * pairs:
            return name
    return None


def is_utf8(head: bytes) -> bool:
    """Whether bytes, which may end inside a character, are UTF-8."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
