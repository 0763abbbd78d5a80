"""What every reader is told about the file that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lmcore.data.config import SourceConfig
from lmcore.data.sources.encodings import Misread
from lmcore.data.sources.lines import Line
from lmcore.data.sources.records import BadInput

Unit = Literal["file", "paragraph", "line", "record"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One file as it is read.

    Attributes:
        name: Of the file (and archive member).
        source: The section of the configuration, which names columns and encoding.
        max_bytes: Bound of a line, a row, a record.
        unit: What plain text is cut into.
        misread: Says why bytes are no text.
        all_columns: Rows come with all of their columns, whatever the source names; for a look.
    """

    name: str
    source: SourceConfig
    max_bytes: int
    unit: Unit
    misread: Misread
    all_columns: bool = False

    def bad(self, position: int, reason: str) -> BadInput:
        """A piece of this file that is set aside."""
        return BadInput(file=self.name, position=position, reason=reason)

    def bad_line(self, line: Line) -> BadInput:
        """A line that is too long, or no text."""
        if line.data is None:
            reason = f"a line longer than data.max_document_bytes={self.max_bytes}"
        else:
            reason = self.misread.reason(line.data)
        return self.bad(line.number, reason)
