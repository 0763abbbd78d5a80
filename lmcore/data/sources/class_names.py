"""Names of classes that a data set stores as numbers: `ClassLabel` of the `datasets` library.

In: a data set's features, or what the library writes into the files that it makes.  Out: the names
of a column's classes, and the name that a value stands for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

#: What the library writes where a class is not known.
_NO_CLASS = -1
_METADATA = b"huggingface"
_MAX_METADATA_BYTES = 16 << 20


def class_names(features: object, column: str | None) -> list[str] | None:
    """The names of a column's classes; None where it holds something else.

    Args:
        features: `Features` of the library, or the same as JSON.
        column: Name of the column; None has no classes.
    """
    feature = features.get(column) if isinstance(features, Mapping) and column else None
    feature = _of(feature, "feature") or feature  # a list of classes
    names = _of(feature, "names")
    kind = _of(feature, "_type") or type(feature).__name__
    if kind != "ClassLabel" or not isinstance(names, list):
        return None
    return [str(name) for name in names]


def class_names_in(metadata: Mapping[bytes, bytes] | None, column: str | None) -> list[str] | None:
    """The names of a column's classes, as the metadata of an Arrow or Parquet schema says."""
    raw = (metadata or {}).get(_METADATA, b"")
    if not raw or len(raw) > _MAX_METADATA_BYTES:
        return None
    try:
        return class_names(json.loads(raw)["info"]["features"], column)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def class_name(value: object, names: list[str], *, column: str) -> object:
    """The name of the class that a value stands for; a missing value stays what it is.

    Args:
        value: A number from 0, the text of one, a name, or a list of them.
        names: Of the classes, in the order of their numbers.
        column: For the message.

    Raises:
        ValueError: If there is no such class; the message is the reason that a row is set aside.
    """
    if isinstance(value, list | tuple):
        return [class_name(item, names, column=column) for item in value]
    if isinstance(value, str):
        # In a table of text a class may stand by its name or by its number.
        if value in names or not value.removeprefix("-").isdecimal() or len(value) > 9:
            return value
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if value == _NO_CLASS:
        raise ValueError(f"{column!r} is -1, which means that the class is not known")
    if not 0 <= value < len(names):
        raise ValueError(f"{column!r} is {value}; the data set names classes 0 to {len(names) - 1}")
    return names[value]


def _of(feature: object, name: str) -> Any:
    return feature.get(name) if isinstance(feature, Mapping) else getattr(feature, name, None)
