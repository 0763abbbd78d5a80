"""Data sets that the `datasets` library has saved to a folder, known without importing it.

Such a folder holds Arrow files and JSON about them, none of which is text to be read as it stands.
"""

from __future__ import annotations

from pathlib import Path

from lmcore.data.config import SourceConfig

#: What a data set with named splits, and a single split, is known by.
SPLITS_FILE = "dataset_dict.json"
_STATE_FILE = "state.json"
_INFO_FILE = "dataset_info.json"


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
