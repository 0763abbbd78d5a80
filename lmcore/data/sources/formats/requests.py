"""Feedback on answers as documents: what was asked with the answer that somebody approved.

In: lines of a sealed part.  Out: for a language model the prompt with its accepted continuation,
for a task the input with the accepted output as its target.  An answer that was only called wrong
teaches nothing and is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from lmcore.data.requests.lines import Feedback, parsed
from lmcore.data.sources.lines import iter_lines
from lmcore.data.sources.reading import Reading
from lmcore.data.sources.records import Piece, Record

_CONTINUES = "language_modelling"


def read_requests(stream: IO[bytes], reading: Reading) -> Iterator[Piece]:
    """One record for each answer that was accepted."""
    for line in iter_lines(stream, max_bytes=reading.max_bytes):
        if line.data is None:
            yield reading.bad_line(line)
            continue
        try:
            found = parsed(line.data)
        except ValueError as error:
            yield reading.bad(line.number, str(error))
            continue
        if not isinstance(found, Feedback) or found.accepted is None:
            continue
        goes_on = found.task == _CONTINUES
        yield Record(
            file=reading.name,
            position=line.number,
            text=found.text + found.accepted if goes_on else found.text,
            target=None if goes_on else found.accepted,
            date=found.at[:10],
        )
