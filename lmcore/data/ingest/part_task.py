"""A part with all that reading it depends on, and the folder that it comes to.

The folder: `texts-*.parquet`, a row for each text with what is compared between parts (id, form,
sketch), `signatures.bin`, `quarantine.jsonl`, and `tally.json` with counts.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmcore.content_store import ContentStore, Handle
from lmcore.data.config import DataConfig
from lmcore.data.ingest.part_keys import PART_KIND
from lmcore.data.ingest.parts import PART_BYTES, Part
from lmcore.data.ingest.removals_file import RemovalsFile
from lmcore.digests import digest

STEM = "texts"
SIGNATURES_FILE, QUARANTINE_FILE, TALLY_FILE = "signatures.bin", "quarantine.jsonl", "tally.json"
#: In the summary: ids of the removals that texts were left out for.
LEFT_OUT = "left_out"
#: Settings that decide about single texts; others concern all of them.
_DATA = (
    *("unit", "min_document_bytes", "max_document_bytes", "as_of", "pii", "phone_regions"),
    *("near_duplicates", "on_bad_input"),
)


class PartFolder(Handle):
    """What came of a part. Its summary: `records`, `texts`, `lines` (of a stretch), `left_out`."""

    kind = PART_KIND

    def tally(self) -> dict[str, Any]:
        """Counts, as `Tally.state` gives them, with `readability` and `condemned`."""
        found: dict[str, Any] = json.loads((self.path / TALLY_FILE).read_text(encoding="utf-8"))
        return found


@dataclass(frozen=True, kw_only=True)
class PartStore:
    """Where parts' folders are kept.

    Attributes:
        root: Of the content store.
        made_of: What decides beside settings and bytes what comes of a part: code and libraries.
        part_bytes: About what a part holds.
    """

    root: Path
    made_of: Mapping[str, Any] = field(default_factory=dict)
    part_bytes: int = PART_BYTES


@dataclass(frozen=True, kw_only=True)
class Task:
    """A part with all that reading it depends on.

    Attributes:
        part: What is read.
        data: How text becomes documents.
        removals: Names what must not be used.
        store: Where its folder is kept.
    """

    part: Part
    data: DataConfig
    removals: RemovalsFile
    store: PartStore

    @property
    def inputs(self) -> dict[str, Any]:
        """What determines the folder."""
        return {**self._part_inputs, "removals": self.removals.digest}

    @functools.cached_property
    def _part_inputs(self) -> dict[str, Any]:
        """What determines the folder where nothing is removed."""
        config = self.part.located.config
        # Where it lies, and what is said about all of its documents, changes no text.
        settings = config.model_dump(
            mode="json", exclude={"path", "target_path", "license", "origin", "split"}
        )
        if self.part.located.files and settings["dataset"] is not None:
            settings["dataset"] = Path(settings["dataset"]).name
        return {
            "source": settings,
            "unit": self.part.unit,
            "data": self.data.model_dump(mode="json", include=set(_DATA)),
            "content": self.part.content,
            **self.store.made_of,
        }

    @property
    def folder(self) -> Path:
        """Where the finished folder is, or will be."""
        store = ContentStore(self.store.root)
        return store.path(PartFolder.kind, store.key(PartFolder.kind, self.inputs))

    @property
    def variants(self) -> Path:
        """Names of the folders that were made of the same part, whatever was removed, a line each.

        See `lmcore.data.ingest.earlier_parts`.
        """
        name = digest(self._part_inputs)[:32]
        return self.store.root / PartFolder.kind / ".variants" / name


def texts_made_of(store: PartStore, data: DataConfig) -> str:
    """What decides beside the id of a text about how it reads, as one word."""
    settings = data.model_dump(mode="json", include=set(_DATA))
    return digest({"data": settings, **store.made_of})


def salt_of(data: DataConfig) -> bytes:
    """Salt of the hashes of personal data: one for all parts, so that their sets are one set."""
    return bytes.fromhex(digest({"personal": data.model_dump(mode="json", include=set(_DATA))}))
