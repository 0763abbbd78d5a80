"""What a file or folder holds, as sources of a configuration: the knowledge behind `lmcore init`.

In: a place. Out: a source for all files that are read alike, and every other file with the reason
why it is in none. Files are found, and looked at, by the code that a run reads them with; each
source is tried on the folder before it is proposed, so that it means its own files and no others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lmcore.counted import counted
from lmcore.data.config import DataConfig, SourceConfig
from lmcore.data.sources.apart.process import kept_processes
from lmcore.data.sources.archives import container, content_name
from lmcore.data.sources.choices import Wishes, decide_columns, decide_encoding, has_header
from lmcore.data.sources.columns import Columns, choose_columns
from lmcore.data.sources.find_files import find_files, path_files, printable
from lmcore.data.sources.kinds import KINDS
from lmcore.data.sources.looks import SAMPLE_ROWS, Look, look
from lmcore.data.sources.records import LeftOut
from lmcore.data.sources.saved import describe_saved, is_saved
from lmcore.errors import SourceError

_MAX_FILES = 1_000_000
#: Sources for single files, where no pattern tells them from others.
_MAX_SINGLE = 50
#: The share of a source that a run sets aside by itself.
_MAX_UNREAD = DataConfig().max_quarantine_share


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Files that are read alike, and the source that reads them.

    Attributes:
        config: The source; of its licence and origin nothing is known.
        format: How they are read.
        num_files: How many they are.
        num_bytes: Their size on disk.
        columns: Paths to values, for a kind that has columns.
        task: What their columns make possible.
        guesses: What nobody said and a person may know better, a sentence each.
    """

    config: SourceConfig
    format: str
    num_files: int
    num_bytes: int
    columns: tuple[str, ...] = ()
    task: str = "language_modelling"
    guesses: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a file or folder holds.

    Attributes:
        place: What was looked at.
        findings: One for all files that are read alike, the largest first.
        left_out: Files that a run passes over: hidden, about the data, without text.
        unread: Names of files that cannot be read, with the reason.
    """

    place: Path
    findings: tuple[Finding, ...]
    left_out: tuple[LeftOut, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Files that are read alike."""

    ending: str
    format: str
    encoding: str | None
    delimiter: str | None
    columns: tuple[str, ...] | None
    records: str | None
    header: tuple[str, ...]


def survey(place: Path, *, wishes: Wishes | None = None) -> Survey:
    """Look at a file or a folder.

    Raises:
        SourceError: If it does not exist, nothing in it can be read as text, or nobody can say
            which column of a table the text is.
    """
    wishes = wishes or Wishes()
    place = place.absolute()
    if not place.exists():
        raise SourceError(f"{place}: no such file or folder; give the place of your text")
    if place.is_dir() and is_saved(place):
        return Survey(place=place, findings=(_saved_data_set(place),))
    found, left_out = path_files(str(place), None, key=str(place))
    if len(found) > _MAX_FILES:
        raise SourceError(f"{place}: more than {_MAX_FILES} files; name a smaller folder")
    groups: dict[_Group, list[tuple[str, Path]]] = defaultdict(list)
    looks: dict[_Group, list[Mapping[str, Any]]] = defaultdict(list)
    unread: list[tuple[str, str]] = []
    with kept_processes():
        for name, path in found:
            regular = path.is_file()
            seen = look(path, name=name) if regular else Look(format="", problem="unreadable")
            if seen.problem:
                unread.append((printable(name), seen.problem))
                continue
            group = _group(name, seen)
            groups[group].append((name, path))
            looks[group] += seen.rows[: max(0, SAMPLE_ROWS - len(looks[group]))]
    if not groups:
        name, reason = unread[0]
        raise SourceError(
            f"{place}: holds no text that is read: {name}: {reason}"
            + (f" (and {counted(len(unread) - 1, 'more file')})" if len(unread) > 1 else "")
        )
    findings = [
        finding
        for group, files in groups.items()
        for finding in _findings(place, group, files, _Known(looks[group], wishes, dict(unread)))
    ]
    findings.sort(key=lambda finding: -finding.num_bytes)
    return Survey(
        place=place, findings=tuple(findings), left_out=tuple(left_out), unread=tuple(unread)
    )


def _group(name: str, seen: Look) -> _Group:
    inner = content_name(name)
    ending = PurePosixPath(inner).suffix + name[len(inner) :]
    packed = container(name) in ("zip", "tar")
    if packed and ".tar." in name.lower():
        ending = "".join(PurePosixPath(name).suffixes[-2:])
    in_columns = seen.format in ("csv", "tsv", "parquet", "xlsx")
    return _Group(
        ending=ending,
        format="auto" if packed else seen.format,
        encoding=seen.encoding,
        delimiter=seen.delimiter,
        columns=seen.columns,
        records=seen.records,
        header=seen.header if in_columns else (),
    )


@dataclass(frozen=True)
class _Known:
    """What is known of a group of files: some rows, what somebody wishes, what cannot be read."""

    rows: Sequence[Mapping[str, Any]]
    wishes: Wishes
    unread: Mapping[str, str]


def _findings(
    place: Path, group: _Group, files: Sequence[tuple[str, Path]], known: _Known
) -> Iterator[Finding]:
    settings, columns, guesses = _settings(group, known.rows, known.wishes, example=files[0][0])
    config = SourceConfig(path=str(place), **settings)
    if place.is_dir():
        pattern = f"*{group.ending}" if group.ending else None
        chosen = config.model_copy(update={"files": pattern})
        if not _means(chosen, {name for name, _ in files}, known.unread):
            yield from _single(files, settings, group, columns, guesses)
            return
        config = chosen
    yield Finding(
        config=config,
        format=group.format,
        num_files=len(files),
        num_bytes=sum(path.stat().st_size for _, path in files),
        columns=columns.names,
        task=columns.task,
        guesses=guesses,
    )


def _means(config: SourceConfig, names: set[str], unread: Mapping[str, str]) -> bool:
    """Whether a source means these files and no others, but for a few that cannot be read.

    Raises:
        SourceError: If too many of its files cannot be read, and they are too many to be named.
    """
    try:
        found = {name for name, _ in find_files(config, key="files")[0]}
    except SourceError:
        return False
    bad = sorted(name for name in found - names if printable(name) in unread)
    if not names <= found or found - names - set(bad):
        return False
    if len(bad) > _MAX_UNREAD * len(found) and len(names) > _MAX_SINGLE:
        raise SourceError(
            f"{config.path}: {len(bad)} of {counted(len(found), 'file')} {config.files or ''}"
            f" cannot be read,"
            f" the first is {printable(bad[0])}: {unread[printable(bad[0])]}; mend or move them"
        )
    return len(bad) <= _MAX_UNREAD * len(found)


def _single(
    files: Sequence[tuple[str, Path]],
    settings: Mapping[str, Any],
    group: _Group,
    columns: Columns,
    guesses: tuple[str, ...],
) -> Iterator[Finding]:
    """A source for each file, where no pattern tells them from files that are read otherwise."""
    if len(files) > _MAX_SINGLE:
        kind = f"{group.ending or 'no ending'}"
        raise SourceError(
            f"{len(files)} files with {kind}, such as {files[0][0]}, are read otherwise than others"
            f" of that ending (encoding {group.encoding or 'utf-8'}); put them in a folder of"
            " their own"
        )
    for _, path in files:
        yield Finding(
            config=SourceConfig(path=str(path), **settings),
            format=group.format,
            num_files=1,
            num_bytes=path.stat().st_size,
            columns=columns.names,
            task=columns.task,
            guesses=guesses,
        )


def _settings(
    group: _Group, rows: Sequence[Mapping[str, Any]], wishes: Wishes, *, example: str
) -> tuple[dict[str, Any], Columns, tuple[str, ...]]:
    settings: dict[str, Any] = {
        name: value
        for name, value in (
            ("encoding", group.encoding),
            ("delimiter", group.delimiter),
            ("columns", list(group.columns) if group.columns else None),
            ("records", group.records),
        )
        if value is not None
    }
    guesses: list[str] = []
    if group.encoding is not None:
        settings["encoding"] = decide_encoding(
            group.encoding, wishes, example=example, guesses=guesses
        )
    if group.columns is not None and has_header(wishes, example=example, guesses=guesses):
        del settings["columns"]
        names = [str(name) for name in rows[0].values()] if rows else []
        rows = [dict(zip(names, row.values(), strict=False)) for row in rows[1:]]
    if not rows:
        return settings, Columns(), tuple(guesses)
    columns = decide_columns(rows, wishes, example=example, guesses=guesses)
    is_record = group.format == "auto" or KINDS[group.format].shape == "records"
    if is_record and columns.text is not None:
        settings["text_field"] = columns.text
    if columns.target is not None:
        settings["target_field"] = columns.target
    return settings, columns, tuple(guesses)


def _saved_data_set(place: Path) -> Finding:
    saved = describe_saved(place)
    empty: dict[str, Any] = dict.fromkeys(saved.strings, "words of some length")
    text = choose_columns([empty]).text
    settings: dict[str, Any] = {"text_field": text or "text"}
    if saved.splits and "train" not in saved.splits:
        settings["dataset_split"] = saved.splits[0]
    return Finding(
        config=SourceConfig(path=str(place), **settings),
        format="auto",
        num_files=len(saved.files),
        num_bytes=sum(path.stat().st_size for path in saved.files),
        columns=saved.columns,
    )
