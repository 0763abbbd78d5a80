"""Look at a user's files and say what they are: the knowledge behind `lmcore init`.

In: a file or a folder. Out: one finding for each kind of file in it, with the columns that
seem to hold the text. It reads a bounded part of each file and changes nothing.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lmcore.data.sources.archives import container, content_name
from lmcore.data.sources.find_files import about_the_data
from lmcore.data.sources.kinds import KINDS
from lmcore.data.sources.saved import describe_saved, is_saved
from lmcore.data.sources.walk import walk
from lmcore.errors import SourceError

_TEXT_ENDINGS = (".txt", ".text", ".md", ".rst")
_TABLES = {
    ending: name for name in ("jsonl", "csv", "tsv", "parquet") for ending in KINDS[name].endings
}
_TEXT_NAMES = ("text", "content", "body", "message", "article", "document", "review", "tweet")
_SAMPLE_BYTES = 1 << 18
_SAMPLE_ROWS = 200
_MAX_FILES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Files of one kind in one place.

    Attributes:
        path: The file, or the folder that holds the files.
        files: Glob inside the folder; None for a single file.
        format: Name of the reader.
        num_files: How many files match.
        num_bytes: Their size on disk.
        columns: Columns of a table, in order; empty for text.
        text_field: Column that seems to hold the text; None for text.
        dataset_split: Split of a saved data set, where it has none of the usual name.
    """

    path: Path
    files: str | None
    format: str
    num_files: int
    num_bytes: int
    columns: tuple[str, ...] = ()
    text_field: str | None = None
    dataset_split: str | None = None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a file or folder holds.

    Attributes:
        place: What was looked at.
        findings: One for each kind of file, the largest first.
        about: Files that speak about the data (licence, readme), not part of it.
        skipped: Files of a kind that is not read.
    """

    place: Path
    findings: tuple[Finding, ...]
    about: tuple[Path, ...]
    skipped: tuple[Path, ...]


def survey(place: Path) -> Survey:
    """Look at a file or a folder.

    Raises:
        SourceError: If it does not exist or nothing in it can be read as text.
    """
    place = place.absolute()
    if not place.exists():
        raise SourceError(f"{place}: no such file or folder; give the place of your text")
    if place.is_file():
        kind = _kind(place)
        if kind is None and _looks_like_text(place):
            kind = ("text", place.suffix)
        if kind is None:
            raise SourceError(
                f"{place}: not a kind of file that is read; expected text, JSONL, CSV, TSV,"
                " Parquet or an archive of text"
            )
        finding = _finding(place, None, kind[0], [place])
        return Survey(place=place, findings=(finding,), about=(), skipped=())
    if is_saved(place):
        return Survey(place=place, findings=(_saved(place),), about=(), skipped=())
    groups: dict[tuple[str, str], list[Path]] = defaultdict(list)
    about: list[Path] = []
    skipped: list[Path] = []
    for path in _walk(place):
        kind = _kind(path)
        if about_the_data(path.name):
            about.append(path)
        elif kind is None:
            skipped.append(path)
        else:
            groups[kind].append(path)
    findings = [
        _finding(place, f"*{suffix}", name, files) for (name, suffix), files in groups.items()
    ]
    if not findings:
        raise SourceError(
            f"{place}: holds no text that is read ({len(skipped)} other files); expected .txt, .md,"
            " .jsonl, .csv, .tsv, .parquet, each also .gz or .zst, or .zip and .tar archives"
        )
    findings.sort(key=lambda finding: -finding.num_bytes)
    return Survey(place=place, findings=tuple(findings), about=tuple(about), skipped=tuple(skipped))


def _saved(place: Path) -> Finding:
    found = describe_saved(place)
    named = (name for wanted in _TEXT_NAMES for name in found.strings if name.lower() == wanted)
    usual = not found.splits or "train" in found.splits
    return Finding(
        path=place,
        files=None,
        format="auto",
        num_files=len(found.files),
        num_bytes=sum(path.stat().st_size for path in found.files),
        columns=found.columns,
        text_field=next(named, next(iter(found.strings), None)),
        dataset_split=None if usual else found.splits[0],
    )


def _walk(folder: Path) -> Iterator[Path]:
    count = 0
    for name, path in walk(folder).files:
        if any(part.startswith(".") for part in PurePosixPath(name).parts) or not path.is_file():
            continue
        count += 1
        if count > _MAX_FILES:
            raise SourceError(f"{folder}: more than {_MAX_FILES} files; name a smaller folder")
        yield path


def _kind(path: Path) -> tuple[str, str] | None:
    """Reader and file-name ending of a path, or None where it is no kind we read."""
    name = path.name
    if container(name) in ("zip", "tar"):
        ending = "".join(path.suffixes[-2:]) if ".tar." in name.lower() else path.suffix
        return "auto", ending
    inner = Path(content_name(name)).suffix
    reader = "text" if inner.lower() in _TEXT_ENDINGS else _TABLES.get(inner.lower())
    return (reader, inner + name[len(content_name(name)) :]) if reader else None


def _looks_like_text(path: Path) -> bool:
    with path.open("rb") as stream:
        sample = stream.read(_SAMPLE_BYTES)
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(sample) - 4 and b"\0" not in sample
    return b"\0" not in sample and bool(sample)


def _finding(place: Path, files: str | None, reader: str, paths: list[Path]) -> Finding:
    columns, text_field = _columns(paths[0], reader)
    return Finding(
        path=place,
        files=files,
        format=reader,
        num_files=len(paths),
        num_bytes=sum(path.stat().st_size for path in paths),
        columns=columns,
        text_field=text_field,
    )


def _columns(path: Path, reader: str) -> tuple[tuple[str, ...], str | None]:
    if reader == "parquet":
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        try:
            with ParquetFile(path) as file:
                names = tuple(str(name) for name in file.schema_arrow.names)
                batch = next(file.iter_batches(_SAMPLE_ROWS), None)
                rows = batch.to_pylist() if batch is not None else []
        except (ArrowException, OSError):
            return (), "text"  # the run will name the file and quarantine it
    elif reader in ("csv", "tsv", "jsonl") and container(path.name) == "plain":
        with path.open("rb") as stream:
            lines = stream.read(_SAMPLE_BYTES).decode("utf-8", errors="replace").splitlines()
        rows = _records(lines[: _SAMPLE_ROWS + 1], reader)
        names = tuple(dict.fromkeys(name for row in rows for name in row))
    else:
        return (), "text" if reader in ("csv", "tsv", "jsonl") else None
    return names, _text_column(names, rows)


def _records(lines: list[str], reader: str) -> list[dict[str, object]]:
    records: list[dict[str, object]] = []
    if reader == "jsonl":
        for line in lines:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                records.append(record)
        return records
    # A table of tabs has no quotes: a quotation mark in it is text.
    table = (
        csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        if reader == "tsv"
        else csv.DictReader(lines)
    )
    try:
        for row in table:
            records.append({str(name): value for name, value in row.items() if name})
    except csv.Error:
        pass  # a cell beyond the library's limit; the rows before it say enough
    return records


def _text_column(names: tuple[str, ...], rows: list[dict[str, object]]) -> str | None:
    """The column that is named like text, else the one with the longest strings."""

    def characters(row: Mapping[str, object], name: str) -> int:
        value = row.get(name)
        return len(value) if isinstance(value, str) else 0

    length = {name: sum(characters(row, name) for row in rows) for name in names}
    for wanted in _TEXT_NAMES:
        for name in names:
            if name.lower() == wanted and length[name]:
                return name
    return max(names, key=lambda name: length[name]) if any(length.values()) else None
