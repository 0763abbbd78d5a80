"""What is read apart is what would be read here, bit by bit."""

import io
from typing import Any

import pytest
from odd_inputs import sound_files

from lmcore.data.config import SourceConfig
from lmcore.data.sources.apart.process import read_apart
from lmcore.data.sources.bombs import BombError
from lmcore.data.sources.encodings import Misread
from lmcore.data.sources.kinds import KINDS, kind_name, reader
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Row, build_record

SOURCE = SourceConfig(path="-")
APART = {
    name: data for name, data in sound_files().items() if KINDS[kind_name(SOURCE, name)].is_apart
}


def _reading(name: str, *, max_bytes: int = 1 << 20) -> Reading:
    misread = Misread(None, b"")
    return Reading(name=name, source=SOURCE, max_bytes=max_bytes, unit="file", misread=misread)


def test_every_kind_with_a_library_is_read_apart() -> None:
    with_library = {name for name, kind in KINDS.items() if kind.libraries or kind.needs_file}
    assert {name for name, kind in KINDS.items() if kind.is_apart} == with_library
    assert {kind_name(SOURCE, name) for name in APART} == with_library


@pytest.mark.parametrize("name", APART)
def test_the_records_are_those_that_would_be_read_here(name: str) -> None:
    kind, data = KINDS[kind_name(SOURCE, name)], APART[name]
    for given in (data, data[: len(data) // 2], b"", data * 2):
        for reading in (_reading(name), _reading(name, max_bytes=60)):
            here = [
                build_record(piece, source=SOURCE) if isinstance(piece, Row) else piece
                for piece in _caught(reader(kind.reader)(io.BytesIO(given), reading))
            ]
            assert list(_caught(read_apart(kind.reader, io.BytesIO(given), reading))) == here


def _caught(pieces: Any) -> Any:
    """Pieces up to a failure, which both ways may tell."""
    try:
        yield from pieces
    except Exception:
        return


class _Failing(io.RawIOBase):
    """A stream that gives some bytes, and then fails."""

    def __init__(self, error: Exception) -> None:
        self._error, self._given = error, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._given:
            raise self._error
        buffer[:5], self._given = b"{\\rtf", True
        return 5


@pytest.mark.parametrize("error", [BombError("a bomb"), OSError(5, "the disk")])
def test_what_the_stream_raises_is_raised_as_it_is(error: Exception) -> None:
    stream = io.BufferedReader(_Failing(error))
    with pytest.raises(type(error)) as caught:
        list(read_apart("office.read_rtf", stream, _reading("a.rtf")))
    assert caught.value is error
    text = io.BytesIO(APART["a.rtf"])
    assert list(read_apart("office.read_rtf", text, _reading("a.rtf")))
