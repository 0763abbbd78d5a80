"""Fingerprint the bytes of the files behind a source.

In: source sections of the configuration.  Out: each source's files in one fixed
order, with size and SHA-256, and one digest over all of them that says whether
anything is new.  Names are relative to the source, never absolute, so the same
text in another folder has the same fingerprint.
"""

from __future__ import annotations

import contextlib
import functools
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from lmcore.data.config import SourceConfig
from lmcore.data.requests.parts import is_damaged
from lmcore.data.sources.find_files import choose, find_files, one_of_each, printable
from lmcore.data.sources.kinds import libraries_of
from lmcore.data.sources.records import LeftOut
from lmcore.data.sources.remote import RemoteFile, list_remote
from lmcore.data.sources.saved import as_data_set
from lmcore.digests import digest, sha256_file
from lmcore.errors import SourceError
from lmcore.typed_path import is_address

_NO_FILE = "not a regular file"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFile:
    """One file of a source; all of them are in memory while a corpus is read, so each is small.

    Attributes:
        name: Path relative to the source, `/`-separated, printable.
        place: Where it is, as text: a `Path` is four times as large.
        num_bytes: Its size; 0 if unreadable.
        sha256: Of its bytes; empty if unreadable.
        problem: Why it cannot be read; empty if it can.
        remote: Where it is a file of a store; then `sha256` is of what the store says of its
            version, and nothing is at `path`.
    """

    name: str
    place: str
    num_bytes: int
    sha256: str
    problem: str = ""
    remote: RemoteFile | None = None

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.place)

    def at_hand(self) -> contextlib.AbstractContextManager[Path]:
        """Its bytes on this machine, for the length of a block."""
        return self.remote.at_hand() if self.remote else contextlib.nullcontext(self.path)


@dataclass(frozen=True, kw_only=True)
class LocatedSource:
    """A source with its files.

    Attributes:
        config: The source's section.
        files: In reading order; empty for a Hugging Face data set.
        targets: The second file of format `parallel`.
        skipped: Files that were left out: hidden, about the data, without text.
        digest: Over names and contents.
    """

    config: SourceConfig
    files: tuple[SourceFile, ...]
    targets: tuple[SourceFile, ...]
    skipped: tuple[LeftOut, ...]
    digest: str

    @property
    def libraries(self) -> tuple[str, ...]:
        """Distributions that decide what the text of its files is."""
        if self.config.format == "parallel":
            return ()
        return libraries_of(self.config, (file.name for file in self.files))


@dataclass(frozen=True, kw_only=True)
class SourceFingerprint:
    """What the sources hold, as one digest.

    Attributes:
        digest: Changes when, and only when, a name or a byte of any file changes.
        files: Number of files.
        bytes: Their sizes, summed.
        sources: The files of each source.
    """

    digest: str
    files: int
    bytes: int
    sources: tuple[LocatedSource, ...] = ()


def fingerprint_sources(sources: Sequence[SourceConfig]) -> SourceFingerprint:
    """Find and hash every file of every source, reading in chunks.

    Raises:
        SourceError: If a path, package or data set does not exist, or holds no file.
    """
    located = tuple(_locate(source, key=f"sources[{i}]") for i, source in enumerate(sources))
    files = [file for source in located for file in (*source.files, *source.targets)]
    return SourceFingerprint(
        digest=digest([source.digest for source in located]),
        files=len(files),
        bytes=sum(file.num_bytes for file in files),
        sources=located,
    )


def source_inputs(source: LocatedSource) -> dict[str, Any]:
    """Everything about a source that shapes its documents, but not the place it lies in."""
    settings = source.config.model_dump(mode="json", exclude={"path", "target_path"})
    if source.files and settings["dataset"] is not None:
        settings["dataset"] = Path(settings["dataset"]).name  # a folder, wherever it lies
    return {**settings, "content": source.digest}


def glance_at_sources(sources: Sequence[SourceConfig]) -> str:
    """A digest of the names, sizes and times of change of every file: cheap, and no more.

    It differs wherever `fingerprint_sources` would, unless somebody sets times back, and also where
    a file was only touched. A data set of the Hugging Face hub is not asked for, and feedback
    on answers starts nothing by itself, as it grows all the time.

    Raises:
        SourceError: If a path or package does not exist, or holds no file.
    """
    seen: list[Any] = []
    for i, source in enumerate(sources):
        if source.dataset is not None and not Path(source.dataset).is_dir():
            seen.append(source.dataset)
            continue
        if source.requests is not None:
            continue
        if is_address(source.path or ""):
            remote = _remote_files(source, key=f"sources[{i}]")
            seen.append([[file.name, file.sha256] for files in remote[:2] for file in files])
            continue
        found, targets, _ = find_files(source, key=f"sources[{i}]")
        seen.append([_glance(name, path) for name, path in (*found, *targets)])
    return digest(seen)


def _glance(name: str, path: Path) -> list[Any]:
    try:
        status = path.stat()
    except OSError as error:
        return [printable(name), str(error.strerror)]
    return [printable(name), status.st_size, status.st_mtime_ns, status.st_ino]


def _locate(source: SourceConfig, *, key: str) -> LocatedSource:
    files: tuple[SourceFile, ...] = ()
    target_files: tuple[SourceFile, ...] = ()
    skipped: list[LeftOut] = []
    identity: Any = None
    source = as_data_set(source)
    if source.dataset is not None and not Path(source.dataset).is_dir():
        from lmcore.data.sources.hub import dataset_identity

        identity = dataset_identity(source, key=key)
    elif is_address(source.path or ""):
        files, target_files, skipped = _remote_files(source, key=key)
    else:
        found, targets, skipped = find_files(source, key=key)
        files = tuple(_hashed(name, path) for name, path in found)
        if source.requests is not None:
            files = tuple(_as_named(file) for file in files)
        target_files = tuple(_hashed(name, path) for name, path in targets)
    return LocatedSource(
        config=source,
        files=files,
        targets=target_files,
        skipped=tuple(skipped),
        digest=digest(
            [
                identity,
                [[file.name, file.sha256] for file in files],
                [[file.name, file.sha256] for file in target_files],
            ]
        ),
    )


def _remote_files(
    source: SourceConfig, *, key: str
) -> tuple[tuple[SourceFile, ...], tuple[SourceFile, ...], list[LeftOut]]:
    """The files of a store, those of its translation, and those that are left out."""
    assert source.path is not None
    listed = list_remote(source.path, key=f"{key}.path")
    one_file = len(listed) == 1 and listed[0][1].address == source.path
    chosen, skipped = (
        (listed, []) if one_file else choose(listed, source.files, key=key, place=source.path)
    )
    targets: list[tuple[str, RemoteFile]] = []
    if source.target_path is not None:
        if not is_address(source.target_path):
            raise SourceError(
                f"{key}.target_path: expected an address, as path is one; found"
                f" {source.target_path}"
            )
        targets = list_remote(source.target_path, key=f"{key}.target_path")
        one_of_each(chosen, targets, key=key)
    return tuple(map(_of_store, chosen)), tuple(map(_of_store, targets)), skipped


def _of_store(item: tuple[str, RemoteFile]) -> SourceFile:
    name, remote = item
    return SourceFile(
        name=printable(name),
        place=PurePosixPath(name).name,
        num_bytes=remote.num_bytes,
        sha256=remote.version,
        remote=remote,
    )


def _as_named(part: SourceFile) -> SourceFile:
    """A sealed part, which says in its name what it holds."""
    if part.problem or not is_damaged(part.name, part.sha256):
        return part
    return replace(part, problem="damaged: it does not hold what its name says")


def _hashed(name: str, path: Path) -> SourceFile:
    found = functools.partial(SourceFile, name=printable(name), place=str(path))
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for ever, reading a device might never end.
            what = "a folder that cannot be listed" if stat.S_ISDIR(status.st_mode) else _NO_FILE
            return found(num_bytes=0, sha256="", problem=what)
        return found(num_bytes=status.st_size, sha256=sha256_file(path))
    except OSError as error:
        return found(num_bytes=0, sha256="", problem=f"unreadable: {error.strerror or error}")
