"""Which files a source is: of a folder, a pattern, an installed package, in one fixed order.

In: a source's section.  Out: each file's name relative to the source, `/`-separated, and its place.
"""

from __future__ import annotations

import functools
import glob
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from lmcore.counted import counted
from lmcore.data.config import SourceConfig
from lmcore.data.requests.parts import FEEDBACK, parts
from lmcore.data.sources.kinds import has_no_text
from lmcore.data.sources.records import LeftOut
from lmcore.data.sources.walk import walk
from lmcore.errors import SourceError

# Files that speak about a data set are not part of its text, unless `files` asks for them.
# `LICENSE`, `readme.md`, `LICENSE-MIT.txt`, `README.de.md`; but not `Copying Beethoven.txt`.
_ABOUT = re.compile(
    r"(?i:licen[cs]e|copying|notice|readme|changelog|authors)(?:\.[a-z]{1,5}){0,2}"
    r"|(?:LICEN[CS]E|COPYING|NOTICE|README|CHANGELOG|AUTHORS)[-._][A-Za-z0-9.+-]{1,40}"
)
_LISTS_OF_SLACK = frozenset({"users.json", "channels.json", "integration_logs.json"})
_DAY_OF_CHANNEL = re.compile(r"[^/]+/\d{4}-\d{2}-\d{2}\.json")
#: Why a file that a pattern does not match is not read: nobody asked for it.
NOT_CHOSEN = "not matched by files"
#: Why a linked folder is not read: what it leads to is, or contains the link itself.
LINKED = "a link to a folder that is read already"
_PACKAGE_FILES = "*.txt"
_Place = TypeVar("_Place")


def find_files(
    source: SourceConfig, *, key: str
) -> tuple[list[tuple[str, Path]], list[tuple[str, Path]], list[LeftOut]]:
    """The files of a source, those of its translation, and those that are left out.

    Raises:
        SourceError: If a path or package does not exist, or holds no file.
    """
    if source.dataset is not None:
        return walk(Path(source.dataset)).files, [], []
    if source.package is not None:
        return _package_files(source, key=key), [], []
    if source.requests is not None:
        return _feedback_files(source.requests, key=key), [], []
    assert source.path is not None
    found, skipped = path_files(source.path, source.files, key=f"{key}.path")
    targets: list[tuple[str, Path]] = []
    if source.target_path is not None:
        targets, _ = path_files(source.target_path, None, key=f"{key}.target_path")
        one_of_each(found, targets, key=key)
    return found, targets, skipped


def one_of_each(found: Sequence[object], targets: Sequence[object], *, key: str) -> None:
    """See that there is one file, and one translation.

    Raises:
        SourceError: If there are none, or several.
    """
    for name, group in (("path", found), ("target_path", targets)):
        if len(group) != 1:
            raise SourceError(
                f"{key}.{name}: format parallel reads one file and its translation;"
                f" found {counted(len(group), 'file')}"
            )


def path_files(
    text: str, pattern: str | None, *, key: str
) -> tuple[list[tuple[str, Path]], list[LeftOut]]:
    """The files that a path or pattern means, and those that are left out though they might be.

    Args:
        text: A file, a folder or a glob.
        pattern: Of files in a folder; None: every file that holds text.
        key: What sentences begin with.

    Raises:
        SourceError: If there is no such place, or no file to read in it.
    """
    path = Path(text)
    if path.is_dir():
        walked = walk(path)
        again = [LeftOut(file=printable(f"{name}/"), reason=LINKED) for name in walked.again]
        chosen, skipped = choose(walked.files, pattern, key=key, place=path)
        return chosen, again + skipped
    if os.path.lexists(path):
        return [(path.name, path)], []
    if glob.has_magic(text):
        files = sorted(_glob(text))
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


def choose(
    files: Sequence[tuple[str, _Place]], pattern: str | None, *, key: str, place: object
) -> tuple[list[tuple[str, _Place]], list[LeftOut]]:
    """Those files of a folder that are read, and those that are left out though they might be.

    Args:
        files: Name in the folder, and where each is.
        pattern: Glob of the configuration; None: every file that holds text.
        key: Of the configuration, for sentences.
        place: The folder, likewise.

    Raises:
        SourceError: If none is left.
    """
    chosen: list[tuple[str, _Place]] = []
    skipped: list[LeftOut] = []
    of_chats = is_chat_export(name for name, _ in files)
    for name, file in files:
        why = left_out(name, pattern, in_chat_export=of_chats)
        if not why:
            chosen.append((name, file))
        elif why != NOT_CHOSEN:
            skipped.append(LeftOut(file=printable(name), reason=why))
    if not chosen and pattern is not None:
        raise SourceError(
            f"{key}: no file in {place} matches files: {pattern!r}"
            f" ({counted(len(files), 'file')} there); change the pattern"
        )
    if not chosen:
        raise SourceError(
            f"{key}: the folder {place} holds no file to read{_without(skipped)}; add text to it"
        )
    return chosen, skipped


def _without(skipped: Sequence[LeftOut]) -> str:
    """What a folder holds but files to read, for a sentence about it."""
    if not skipped:
        return ""
    first = f" ({skipped[0].file} is left out: {skipped[0].reason}"
    return first + (f", and {len(skipped) - 1} more)" if len(skipped) > 1 else ")")


def _glob(text: str) -> list[Path]:
    """The files that a pattern means; `**` crosses links to folders as a folder's own walk does."""
    parts = Path(text).parts
    if "**" not in parts:
        # `Path.glob` takes no absolute pattern.
        return [place for place in map(Path, glob.glob(text)) if not place.is_dir()]  # noqa: PTH207
    start = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    pattern = "/".join(parts[start:]) + ("/*" if parts[-1] == "**" else "")
    asked = any(part.startswith(".") for part in parts[start:])
    return [
        path
        for name, path in walk(Path(*parts[:start])).files
        if matches(name, pattern, whole=True)
        and (asked or not any(part.startswith(".") for part in PurePosixPath(name).parts))
    ]


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


def _feedback_files(model: str, *, key: str) -> list[tuple[str, Path]]:
    """What was said of a model's answers; nothing yet is no error, as it grows with use."""
    home = os.environ.get("LMCORE_HOME")
    if not home:
        raise SourceError(
            f"{key}.requests: what is asked of {model} is kept below LMCORE_HOME, which is not set;"
            " set it"
        )
    return [(path.name, path) for path in parts(Path(home) / "requests" / model / FEEDBACK)]


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
        for inner, path in walk(Path(folder)).files
    }


def is_chat_export(names: Iterable[str]) -> bool:
    """Whether files are an export of Slack: days of channels in folders, lists of people beside."""
    names = list(names)
    lists = _LISTS_OF_SLACK.intersection(names)
    return bool(lists) and any(_DAY_OF_CHANNEL.fullmatch(name) for name in names)


def left_out(name: str, pattern: str | None, *, in_chat_export: bool = False) -> str:
    """Why a file of a folder or archive is not read; empty if it is.

    Hidden files, files about the data (licence, readme) and files without text (pictures,
    sounds) are read only where a pattern names them: `*.txt` does not mean `README.txt`.

    Args:
        name: Path inside the folder or archive.
        pattern: Glob of the configuration; None: every file.
        in_chat_export: Whether it lies in an export of Slack, whose lists of people and channels
            are no text.
    """
    if pattern is not None and not matches(name, pattern):
        return NOT_CHOSEN
    if in_chat_export and "/" not in name and name != pattern and name.endswith(".json"):
        return "about the data"
    asked = PurePosixPath(pattern).parts if pattern is not None else ()
    if _is_hidden(name) and not any(part.startswith(".") for part in asked):
        return "hidden"
    if about_the_data(name) and not (asked and _ABOUT.match(asked[-1])):
        return "about the data"
    if pattern is None and has_no_text(name):
        return "no text"
    return ""


def _is_hidden(name: str) -> bool:
    """Whether a file, or a folder on the way to it, is; `.` is no name."""
    if "/." not in name and not name.startswith("."):
        return False
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def about_the_data(name: str) -> bool:
    """Whether a file speaks about the data (licence, readme) instead of being it."""
    return _ABOUT.fullmatch(name.rpartition("/")[2]) is not None


def matches(name: str, pattern: str, *, whole: bool = False) -> bool:
    """Whether a relative path, or the end of it from some folder on, matches a glob.

    `*` and `?` stay inside one folder name, `**/` crosses any number of them.

    Args:
        name: The path.
        pattern: The glob.
        whole: Whether all of the path has to match.
    """
    return _regex(pattern, whole).search(name) is not None


@functools.lru_cache(maxsize=256)
def _regex(pattern: str, whole: bool) -> re.Pattern[str]:
    regex = ""
    for piece in re.split(r"(\*\*/|\*|\?|\[!?[^\]/]+\])", pattern.removeprefix("./")):
        if piece == "**/":
            regex += "(?:.*/)?"
        elif piece in ("*", "?"):
            regex += "[^/]" + ("*" if piece == "*" else "")
        elif piece.startswith("[") and piece.endswith("]"):
            negated = piece.startswith("[!")
            inner = piece[2 if negated else 1 : -1].replace("\\", r"\\").replace("[", r"\[")
            one = f"[{'^' if negated else ''}{inner.removeprefix('^')}]"
            regex += one if _compiles(one) else re.escape(piece)
        else:
            regex += re.escape(piece)
    return re.compile(f"{'^' if whole else '(?:^|/)'}{regex}\\Z", re.DOTALL)


def _compiles(regex: str) -> bool:
    """Whether it is one; `[z-a]` is none."""
    try:
        re.compile(regex)
    except re.error:
        return False
    return True


def printable(name: str) -> str:
    """A file name as text: bytes that are no UTF-8, and control characters, are escaped."""
    if name.isprintable():
        return name
    name = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
