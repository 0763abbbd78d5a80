"""Hugging Face data sets as a source, through the `datasets` library.

In: a data set id, or a folder with data files or a saved data set.  Out: records,
streamed.  The library is imported here and nowhere else: it takes a second, and
only who names a data set should wait for it.  Its caches go where `HF_HOME` says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmcore.data.config import SourceConfig
from lmcore.data.sources.records import BadInput, Record, build_record
from lmcore.errors import SourceError


def dataset_identity(source: SourceConfig, *, key: str) -> dict[str, Any]:
    """What identifies the content of a data set on the Hub: its builder's hash and data files.

    Raises:
        SourceError: If it cannot be reached or does not exist.
    """
    import datasets

    try:
        builder = datasets.load_dataset_builder(source.dataset)
    except Exception as error:
        raise _cannot_load(source, error, key=f"{key}.dataset") from error
    return {"dataset": source.dataset, "split": source.dataset_split, "hash": builder.hash}


def read_dataset(source: SourceConfig) -> Iterator[Record | BadInput]:
    """Stream the rows of a data set.

    Raises:
        SourceError: If it cannot be loaded, or lacks a named column.
    """
    assert source.dataset is not None
    name = Path(source.dataset).name
    try:
        rows = iter(_open(source))
        row = next(rows, None)
    except Exception as error:
        raise _cannot_load(source, error, key="dataset") from error
    position = 0
    while row is not None:
        position += 1
        wanted = (source.text_field, source.target_field, source.date_field)
        for field in wanted:
            if field is not None and field not in row:
                found = ", ".join(repr(column) for column in list(row)[:12])
                raise SourceError(f"dataset {name}: has no column {field!r}; found {found}")
        yield build_record(name, position, list(row), row.__getitem__, source=source)
        try:
            row = next(rows, None)
        except Exception as error:  # the library raises whatever its reader raises
            reason = f"damaged behind row {position}: {str(error) or type(error).__name__}"
            yield BadInput(file=name, position=position + 1, reason=reason)
            return


def _open(source: SourceConfig) -> Any:
    import datasets

    assert source.dataset is not None
    folder = Path(source.dataset)
    saved = any((folder / mark).is_file() for mark in ("dataset_dict.json", "state.json"))
    if saved:
        loaded = datasets.load_from_disk(os.fspath(folder))
        return loaded[source.dataset_split] if isinstance(loaded, dict) else loaded
    return datasets.load_dataset(
        os.fspath(folder) if folder.is_dir() else source.dataset,
        split=source.dataset_split,
        streaming=True,
    )


def _cannot_load(source: SourceConfig, error: Exception, *, key: str) -> SourceError:
    reason = (str(error) or type(error).__name__).splitlines()[0][:300]
    return SourceError(
        f"{key}: the data set {source.dataset!r} (split {source.dataset_split!r}) could not be"
        f" loaded ({type(error).__name__}: {reason}); check its name and the network, or give the"
        " folder of a local copy"
    )
