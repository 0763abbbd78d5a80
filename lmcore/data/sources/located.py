"""Find the files behind a source, and fingerprint their bytes.

In: source sections of the configuration.  Out: each source's files in one fixed
order, with size and SHA-256, and one digest over all of them that says whether
anything is new.  Names are relative to the source, never absolute, so the same
text in another folder has the same fingerprint.
"""

from __future__ import annotations

import glob
import importlib.metadata
import importlib.util
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lmcore.artifacts import digest, sha256_file
from lmcore.data.config import SourceConfig
from lmcore.errors import SourceError

# Files that speak about a data set are not part of its text, unless `files` asks for them.
_ABOUT = re.compile(r"^(licen[cs]e|copying|notice|readme|changelog|authors)\b", re.IGNORECASE)
_PACKAGE_FILES = "*.txt"


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One file of a source.

    Attributes:
        name: Path relative to the source, `/`-separated, printable.
        path: Where it is.
        num_bytes: Its size; 0 if unreadable.
        sha256: Of its bytes; empty if unreadable.
        problem: Why it cannot be read; empty if it can.
    """

    name: str
    path: Path
    num_bytes: int
    sha256: str
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class LocatedSource:
    """A source with its files.

    Attributes:
        config: The source's section.
        files: In reading order; empty for a Hugging Face data set.
        targets: The second file of format `parallel`.
        skipped: Names of files that were left out: hidden, or about the data.
        digest: Over names and contents.
    """

    config: SourceConfig
    files: tuple[SourceFile, ...]
    targets: tuple[SourceFile, ...]
    skipped: tuple[str, ...]
    digest: str


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
    a file was only touched. A data set of the Hugging Face hub is not asked for.

    Raises:
        SourceError: If a path or package does not exist, or holds no file.
    """
    seen: list[Any] = []
    for i, source in enumerate(sources):
        if source.dataset is not None and not Path(source.dataset).is_dir():
            seen.append(source.dataset)
            continue
        found, targets, _ = _find(source, key=f"sources[{i}]")
        seen.append([_glance(name, path) for name, path in (*found, *targets)])
    return digest(seen)


def _glance(name: str, path: Path) -> list[Any]:
    try:
        status = path.stat()
    except OSError as error:
        return [printable(name), str(error.strerror)]
    return [printable(name), status.st_size, status.st_mtime_ns, status.st_ino]


def _locate(source: SourceConfig, *, key: str) -> LocatedSource:
    found: list[tuple[str, Path]] = []
    targets: list[tuple[str, Path]] = []
    skipped: list[str] = []
    identity: Any = None
    if source.dataset is not None and not Path(source.dataset).is_dir():
        from lmcore.data.sources.hub import dataset_identity

        identity = dataset_identity(source, key=key)
    else:
        found, targets, skipped = _find(source, key=key)
    files = tuple(_hashed(name, path) for name, path in found)
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


def _find(
    source: SourceConfig, *, key: str
) -> tuple[list[tuple[str, Path]], list[tuple[str, Path]], list[str]]:
    """The files of a source, those of its translation, and the names of those left out."""
    if source.dataset is not None:
        return list(_walk(Path(source.dataset))), [], []
    if source.package is not None:
        return _package_files(source, key=key), [], []
    assert source.path is not None
    found, skipped = _path_files(source.path, source.files, key=f"{key}.path")
    targets: list[tuple[str, Path]] = []
    if source.target_path is not None:
        targets, _ = _path_files(source.target_path, None, key=f"{key}.target_path")
        for name, group in (("path", found), ("target_path", targets)):
            if len(group) != 1:
                raise SourceError(
                    f"{key}.{name}: format parallel reads one file and its translation;"
                    f" found {len(group)} files"
                )
    return found, targets, skipped


def _hashed(name: str, path: Path) -> SourceFile:
    name = printable(name)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # Opening a pipe would wait for ever, reading a device might never end.
            return SourceFile(
                name=name, path=path, num_bytes=0, sha256="", problem="not a regular file"
            )
        return SourceFile(name=name, path=path, num_bytes=status.st_size, sha256=sha256_file(path))
    except OSError as error:
        problem = f"unreadable: {error.strerror or error}"
        return SourceFile(name=name, path=path, num_bytes=0, sha256="", problem=problem)


def _path_files(
    text: str, pattern: str | None, *, key: str
) -> tuple[list[tuple[str, Path]], list[str]]:
    path = Path(text)
    if path.is_dir():
        found = list(_walk(path))
        if pattern is not None:
            chosen = [(name, file) for name, file in found if matches(name, pattern)]
            if not chosen:
                raise SourceError(
                    f"{key}: no file in {path} matches files: {pattern!r} ({len(found)} files"
                    " there); change the pattern"
                )
            return chosen, []
        chosen = [(name, file) for name, file in found if not about_the_data(name)]
        if not chosen:
            raise SourceError(f"{key}: the folder {path} holds no file to read; add text to it")
        kept = {name for name, _ in chosen}
        return chosen, [printable(name) for name, _ in found if name not in kept]
    if os.path.lexists(path):
        return [(path.name, path)], []
    if glob.has_magic(text):
        # `Path.glob` takes no absolute pattern.
        places = sorted(map(Path, glob.glob(text, recursive=True)))  # noqa: PTH207
        files = [place for place in places if not place.is_dir()]
        if not files:
            raise SourceError(
                f"{key}: no file matches {text}; change the pattern (paths are relative to the"
                " configuration file)"
            )
        base = Path(os.path.commonpath([file.parent for file in files]))
        return [(file.relative_to(base).as_posix(), file) for file in files], []
    raise SourceError(
        f"{key}: {text} does not exist; give a file, a folder or a pattern (paths are relative to"
        " the configuration file)"
    )


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    found = []
    for place, folders, files in os.walk(folder, followlinks=False):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in files:
            path = Path(place, name)
            found.append((path.relative_to(folder).as_posix(), path))
    yield from sorted(found)


def _package_files(source: SourceConfig, *, key: str) -> list[tuple[str, Path]]:
    name = source.package or ""
    pattern = source.files or _PACKAGE_FILES
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise SourceError(f"{key}.package: {name!r} is not the name of a Python package")
    found: dict[str, Path] = {}
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        distribution = None
    for file in (distribution.files or ()) if distribution else ():
        inside = not file.parts[0].endswith((".dist-info", ".egg-info")) and ".." not in file.parts
        if inside and "__pycache__" not in file.parts:
            found[file.as_posix()] = Path(str(file.locate()))
    # An editable install lists no data files, and a plain folder on the path has no metadata.
    if not any(matches(inner, pattern) for inner in found):
        found |= _module_files(name)
    if distribution is None and not found:
        raise SourceError(
            f"{key}.package: no package {name!r} is installed; install it in the environment that"
            " runs lmcore, or name another"
        )
    chosen = sorted((inner, path) for inner, path in found.items() if matches(inner, pattern))
    if not chosen:
        raise SourceError(
            f"{key}.package: {name!r} holds no file that matches files: {pattern!r}; change the"
            " pattern"
        )
    return chosen


def _module_files(name: str) -> dict[str, Path]:
    if "." in name:  # looking up a submodule would import its parent
        return {}
    try:
        spec = importlib.util.find_spec(name.replace("-", "_"))
    except (ImportError, ValueError):
        return {}
    folders = spec.submodule_search_locations if spec is not None else None
    return {
        f"{Path(folder).name}/{inner}": path
        for folder in folders or ()
        for inner, path in _walk(Path(folder))
    }


def about_the_data(name: str) -> bool:
    """Whether a file is hidden, or speaks about the data (licence, readme) instead of being it."""
    path = PurePosixPath(name)
    return any(part.startswith(".") for part in path.parts) or bool(_ABOUT.match(path.name))


def matches(name: str, pattern: str) -> bool:
    """Whether a relative path, or the end of it from some folder on, matches a glob.

    `*` and `?` stay inside one folder name, `**/` crosses any number of them.
    """
    regex = ""
    for piece in re.split(r"(\*\*/|\*|\?|\[!?[^\]/]+\])", pattern.removeprefix("./")):
        if piece == "**/":
            regex += "(?:.*/)?"
        elif piece in ("*", "?"):
            regex += "[^/]" + ("*" if piece == "*" else "")
        elif piece.startswith("[") and piece.endswith("]"):
            negated = piece.startswith("[!")
            inner = piece[2 if negated else 1 : -1].replace("\\", r"\\").replace("[", r"\[")
            regex += f"[{'^' if negated else ''}{inner.removeprefix('^')}]"
        else:
            regex += re.escape(piece)
    return re.search(f"(?:^|/){regex}\\Z", name, re.DOTALL) is not None


def printable(name: str) -> str:
    """A file name as text: bytes that are no UTF-8, and control characters, are escaped."""
    name = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
