"""Data sets that the `datasets` library has saved to a folder, known without importing it.

Such a folder holds Arrow files and JSON about them, none of which is text to be read as it stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmcore.data.config import SourceConfig

#: What a data set with named splits, and a single split, is known by.
SPLITS_FILE = "dataset_dict.json"
_STATE_FILE = "state.json"
_INFO_FILE = "dataset_info.json"
_MAX_JSON_BYTES = 16 << 20


@dataclass(frozen=True, kw_only=True)
class SavedDataSet:
    """What a saved data set says about itself.

    Attributes:
        splits: Names of its splits; empty for a single one without a name.
        columns: Of its first split, in order.
        strings: Those of the columns that hold text.
        files: Its Arrow files.
    """

    splits: tuple[str, ...]
    columns: tuple[str, ...]
    strings: tuple[str, ...]
    files: tuple[Path, ...]


def is_saved(folder: Path) -> bool:
    """Whether a folder is a data set that was saved with `save_to_disk`."""
    if (folder / SPLITS_FILE).is_file():
        return True
    return (folder / _STATE_FILE).is_file() and (folder / _INFO_FILE).is_file()


def as_data_set(source: SourceConfig) -> SourceConfig:
    """The source with `dataset` for `path` where the path is a saved data set.

    Who names files or a format means the files.
    """
    whole = source.path is not None and source.files is None and source.format == "auto"
    if not whole or not is_saved(Path(source.path or "")):
        return source
    return source.model_copy(update={"path": None, "dataset": source.path})


def describe_saved(folder: Path) -> SavedDataSet:
    """Read what a saved data set says about itself; what cannot be read is left empty."""
    if (folder / SPLITS_FILE).is_file():
        named = _json(folder / SPLITS_FILE).get("splits")
        named = named if isinstance(named, list) else []
        splits = tuple(name for name in named if isinstance(name, str) and "/" not in name)
        places = [folder / name for name in splits]
    else:
        name = _json(folder / _STATE_FILE).get("_split")
        splits = (name,) if isinstance(name, str) else ()
        places = [folder]
    features = _json(places[0] / _INFO_FILE).get("features") if places else None
    features = features if isinstance(features, dict) else {}
    return SavedDataSet(
        splits=splits,
        columns=tuple(features),
        strings=tuple(name for name, feature in features.items() if _is_text(feature)),
        files=tuple(sorted(path for place in places for path in place.glob("*.arrow"))),
    )


def _is_text(feature: object) -> bool:
    return isinstance(feature, dict) and feature.get("dtype") in ("string", "large_string")


def _json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            value = json.loads(stream.read(_MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
