"""Whatever a library does with a file, what comes out is records or one reason."""

import io
from collections.abc import Iterator
from typing import IO

import pytest

from lmcore.data.config import SourceConfig
from lmcore.data.sources.encodings import Misread
from lmcore.data.sources.formats import whole_file
from lmcore.data.sources.formats.whole_file import read_whole
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import BadInput, Piece
from lmcore.errors import SourceError

READING = Reading(
    name="a.x",
    source=SourceConfig(path="a.x"),
    max_bytes=1024,
    unit="file",
    misread=Misread(None, b""),
)


@pytest.mark.parametrize("error", [KeyError("k"), RecursionError(), TypeError("two\nlines")])
def test_any_error_of_a_library_is_one_reason(error: Exception) -> None:
    def items(file: IO[bytes], reading: Reading) -> Iterator[Piece]:
        raise error
        yield

    (bad,) = read_whole(io.BytesIO(b"x"), READING, kind="X", items=items)
    assert isinstance(bad, BadInput)
    assert bad.reason.startswith("not X that can be read")
    assert "\n" not in bad.reason


def test_errors_of_the_user_and_of_the_disk_are_not_swallowed() -> None:
    for error in (SourceError("no column"), OSError("disk")):

        def items(file: IO[bytes], reading: Reading, error: Exception = error) -> Iterator[Piece]:
            raise error
            yield

        with pytest.raises(type(error)):
            list(read_whole(io.BytesIO(b"x"), READING, kind="X", items=items))


def test_a_file_beyond_the_bound_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_file, "MAX_FILE_BYTES", 1 << 20)

    def items(file: IO[bytes], reading: Reading) -> Iterator[Piece]:
        raise AssertionError("read")
        yield

    (bad,) = read_whole(io.BytesIO(bytes((1 << 20) + 1)), READING, kind="X", items=items)
    assert isinstance(bad, BadInput)
    assert bad.reason == "a X file of more than 1 MiB"
