"""Hugging Face data sets as a source, through the `datasets` library.

In: a data set id, or a folder with data files or a saved data set.  Out: records,
streamed.  The library is imported here and nowhere else: it takes a second, and
only who names a data set should wait for it.  Its caches go where `HF_HOME` says.

The library says which files a split has.  Tables of text it would read with pandas, to which
"None", "null" and "NA" are nothing and "007" is seven; so those go through the readers of `path:`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from typing import Any

from lmcore.data.config import SourceConfig
from lmcore.data.sources.archives import content_name
from lmcore.data.sources.class_names import class_name, class_names
from lmcore.data.sources.fields import column_of
from lmcore.data.sources.formats.delimited import wanted_columns
from lmcore.data.sources.located import SourceFile
from lmcore.data.sources.records import BadInput, Item, Record, Row, build_record
from lmcore.data.sources.saved import is_saved
from lmcore.errors import SourceError

Items = Iterator[Item]
ReadTable = Callable[[SourceFile, SourceConfig], Items]
_USUAL_SPLIT = "train"
#: Settings of the library's CSV reader that do not tell how a table is written.
_SAY_NO_MORE = {
    *("name", "version", "data_dir", "data_files", "description"),
    *("sep", "delimiter", "features"),
}
#: What stands between the cells of a table, where nobody says anything else.
_SEPARATORS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, kw_only=True)
class _Tables:
    """The text tables of a split.

    Attributes:
        paths: Places on this machine or addresses on the Hub.
        sep: What stands between their cells, as the library understood it.
        features: Of the data set's card; None where it does not say.
    """

    paths: list[str]
    sep: str
    features: Any


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


def read_dataset(source: SourceConfig, *, read_table: ReadTable) -> Items:
    """Stream the rows of a data set.

    Args:
        source: With `dataset`.
        read_table: Reads one file of comma- or tab-separated text, as `path:` does.

    Raises:
        SourceError: If it cannot be loaded, has no such split, or lacks a named column.
    """
    assert source.dataset is not None
    with _loading(source):
        opened = _saved(source) if is_saved(Path(source.dataset)) else _built(source)
        names = class_names(opened.features, source.target_field)
        files = []
        if isinstance(opened, _Tables):
            files = [_fetched(source, path) for path in opened.paths]
    if not isinstance(opened, _Tables):
        yield from _rows(source, opened, names)
        return
    config = source.model_copy(update={"dataset": None, "path": source.dataset})
    for file in files:
        if source.delimiter is None and _SEPARATORS[_ending(file.name)] != opened.sep:
            config = config.model_copy(update={"delimiter": opened.sep})
        for item in read_table(file, config):
            yield item if names is None else _renamed(item, names, column=source.target_field or "")


def _rows(source: SourceConfig, opened: Iterable[Any], names: list[str] | None) -> Items:
    name, target = Path(source.dataset or "").name, source.target_field
    with _loading(source):
        rows = iter(opened)
        row = next(rows, None)
    position = 0
    while row is not None:
        position += 1
        for field in wanted_columns(source):
            if column_of(field, list(row)) is None:
                found = ", ".join(repr(column) for column in list(row)[:12])
                raise SourceError(f"dataset {name}: has no column {field!r}; found {found}")
        try:
            if names is not None and target is not None:
                row = {**row, target: class_name(row[target], names, column=target)}
        except ValueError as error:
            yield BadInput(file=name, position=position, reason=str(error))
        else:
            yield build_record(Row(file=name, position=position, values=row), source=source)
        try:
            row = next(rows, None)
        except Exception as error:  # the library raises whatever its reader raises
            reason = f"damaged behind row {position}: {str(error) or type(error).__name__}"
            yield BadInput(file=name, position=position + 1, reason=reason)
            return


def _renamed(item: Item, names: list[str], *, column: str) -> Item:
    """A record of a text table whose target is the name of its class."""
    if not isinstance(item, Record):
        return item
    try:
        target = class_name(item.target, names, column=column)
    except ValueError as error:
        return BadInput(file=item.file, position=item.position, reason=str(error))
    return replace(item, target=str(target))


def _saved(source: SourceConfig) -> Any:
    """The wanted split of a data set that was saved to a folder."""
    import datasets

    loaded = datasets.load_from_disk(os.fspath(source.dataset or ""))
    wanted = source.dataset_split
    if isinstance(loaded, dict):
        if wanted not in loaded:
            raise _no_split(source, loaded)
        return loaded[wanted]
    if loaded.split is not None and str(loaded.split) != wanted:
        raise _no_split(source, [loaded.split])
    if loaded.split is None and wanted != _USUAL_SPLIT:
        raise SourceError(
            f"dataset_split: {source.dataset} is a single split without a name, so whether it is"
            f" {wanted!r} is not known; leave dataset_split out"
        )
    return loaded


def _built(source: SourceConfig) -> Any:
    """Rows that the library reads, or the text tables of a split."""
    import datasets

    dataset = os.fspath(source.dataset or "")
    builder = datasets.load_dataset_builder(dataset)
    settings: dict[str, Any] = {}
    if builder.name == "csv":
        files = {str(split): list(paths) for split, paths in builder.config.data_files.items()}
        if _is_plain(builder.config, files):
            if source.dataset_split not in files:
                raise _no_split(source, files)
            paths = [str(path) for path in files[source.dataset_split]]
            return _Tables(paths=paths, sep=builder.config.sep, features=builder.info.features)
        settings["na_filter"] = False  # at least "None" and "NA" stay what they are
    return datasets.load_dataset(dataset, split=source.dataset_split, streaming=True, **settings)


def _is_plain(config: Any, files: Mapping[str, list[Any]]) -> bool:
    """Whether the readers of `path:` know all that the data set's card says about its tables."""
    usual = type(config)()
    told = {field.name for field in fields(config)} - _SAY_NO_MORE
    if any(getattr(config, name) != getattr(usual, name) for name in told):
        return False
    paths = itertools.chain.from_iterable(files.values())
    return all(_ending(str(path)) in _SEPARATORS for path in paths) and len(config.sep) == 1


def _ending(path: str) -> str:
    return PurePosixPath(content_name(path)).suffix.lower()


def _fetched(source: SourceConfig, file: str) -> SourceFile:
    """A file of a data set on this machine; one of the Hub's is kept in the library's cache."""
    import datasets

    place = Path(str(datasets.DownloadManager().download(file)))
    folder = Path(source.dataset or "").absolute()
    name = os.fspath(place.relative_to(folder)) if place.is_relative_to(folder) else Path(file).name
    return SourceFile(name=name, place=str(place), num_bytes=0, sha256="")


def _no_split(source: SourceConfig, splits: Iterable[object]) -> SourceError:
    found = ", ".join(repr(str(split)) for split in itertools.islice(splits, 12))
    return SourceError(
        f"dataset_split: the data set {source.dataset!r} has no split {source.dataset_split!r};"
        f" expected {found}"
    )


@contextmanager
def _loading(source: SourceConfig) -> Iterator[None]:
    """Whatever the library raises while it opens a data set, as one sentence."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        raise _cannot_load(source, error, key="dataset") from error


def _cannot_load(source: SourceConfig, error: Exception, *, key: str) -> SourceError:
    reason = (str(error) or type(error).__name__).splitlines()[0][:300]
    return SourceError(
        f"{key}: the data set {source.dataset!r} (split {source.dataset_split!r}) could not be"
        f" loaded ({type(error).__name__}: {reason}); check its name and the network, or give the"
        " folder of a local copy"
    )
