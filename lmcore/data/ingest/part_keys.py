"""Which parts a set of documents was joined from: a file beside the documents.

Parts are a cache: nothing reads them but the next ingest.  The list tells which of them it will ask
for, so that the others can be removed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

#: Of a part's folder in the content store.
PART_KIND = "part"
_FILE = "parts.json"


def write_part_keys(documents: Path, keys: Sequence[str]) -> None:
    """Write the keys of the parts into the folder of a set of documents that is being made."""
    (documents / _FILE).write_text(json.dumps(list(keys)), encoding="utf-8")


def part_keys(documents: Path) -> list[str]:
    """The keys of the parts; none of a set that was read without keeping any, or is damaged."""
    try:
        found = json.loads((documents / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(key) for key in found] if isinstance(found, list) else []
