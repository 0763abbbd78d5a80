"""Parts of sources as ingest reads them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.ingest.part_reading import read_part
from lmcore.data.ingest.part_task import PartFolder, PartStore, Task
from lmcore.data.ingest.parts import cut
from lmcore.data.ingest.removals_file import RemovalsFile
from lmcore.data.sources.located import fingerprint_sources


def part(
    folder: Path, rows: Sequence[Mapping[str, Any]], *, near_duplicates: bool = True
) -> PartFolder:
    """What comes of a file with these rows."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{len(list(folder.iterdir()))}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = SourceConfig(path=str(path), date_field="date", target_field="target")
    data = DataConfig(near_duplicates=near_duplicates)
    (found,) = cut(fingerprint_sources([source]).sources, data=data)
    store = PartStore(root=folder / "store")
    return read_part(Task(part=found, data=data, removals=RemovalsFile(), store=store))
