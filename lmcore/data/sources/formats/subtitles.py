"""Subtitles (SRT, WebVTT, ASS, SUB): what is said, without numbers, times and styles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from lmcore.data.sources.formats.text import whole_text
from lmcore.data.sources.formats.whole_file import missing_library
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import BadInput, Piece, Row


def read_subtitles(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One file: `text`, a line for each line on the screen."""
    raw = whole_text(stream, reading)
    if isinstance(raw, BadInput):
        yield raw
        return
    try:
        import pysubs2
    except ImportError as error:
        raise missing_library(error, reading.name, kind="subtitles") from error
    try:
        spoken = pysubs2.SSAFile.from_string(raw)
    except MemoryError:  # no fault of the format
        raise
    except Exception as error:  # the library has several kinds for a file of no known kind
        yield reading.bad(0, f"not subtitles of a known kind: {type(error).__name__}")
        return
    lines = (event.plaintext.strip() for event in spoken if not event.is_comment)
    text = "\n".join(line for line in lines if line)
    if not text:
        yield reading.bad(0, "subtitles without any text")
        return
    yield Row(file=reading.name, position=0, values={"text": text})
