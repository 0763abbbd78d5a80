"""An order to read one file: the reader, what it is told, and its bounds."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lmcore.data.config import SourceConfig
from lmcore.data.sources.apart.limits import Limits
from lmcore.data.sources.encodings import Misread
from lmcore.data.sources.reading import Reading


@dataclass(frozen=True, kw_only=True)
class Job:
    """One file that is to be read apart.

    Attributes:
        reader: Module and function.
        reading: What the reader is told.
        is_seekable: Whether its bytes can be had in any order.
        limits: What it may take.
    """

    reader: str
    reading: Reading
    is_seekable: bool
    limits: Limits

    def packed(self) -> dict[str, Any]:
        """As JSON."""
        reading = self.reading
        return {
            "reader": self.reader,
            "is_seekable": self.is_seekable,
            "limits": asdict(self.limits),
            "name": reading.name,
            "source": reading.source.model_dump(mode="json"),
            "max_bytes": reading.max_bytes,
            "unit": reading.unit,
            "all_columns": reading.all_columns,
            "encoding": reading.misread.encoding,
            "head": base64.b64encode(reading.misread.head).decode(),
        }

    @classmethod
    def unpacked(cls, values: Mapping[str, Any]) -> Job:
        """What `packed` made."""
        return cls(
            reader=values["reader"],
            is_seekable=values["is_seekable"],
            limits=Limits(**values["limits"]),
            reading=Reading(
                name=values["name"],
                source=SourceConfig.model_validate(values["source"]),
                max_bytes=values["max_bytes"],
                unit=values["unit"],
                all_columns=values["all_columns"],
                misread=Misread(values["encoding"], base64.b64decode(values["head"])),
            ),
        )
