"""Where a model that is gone on from lies: a folder, a GGUF file, a package, or the hub.

In: the configuration.  Out: the files that will be read, found without running anything of theirs.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmcore.digests import sha256_file
from lmcore.errors import SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.settings import short

_PACKAGE = re.compile(r"package:([A-Za-z_][A-Za-z0-9_]*)(?:/(.+))?")
_HUB = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(\S*))?")
_REVISION = re.compile(r"[0-9a-f]{40}")
#: Files of a folder that are read, or that say what is not read.
_READ = ("*.json", "*.safetensors", "README.md", "merges.txt", "*.jinja")
_UNSAFE = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
_MOST_FILES = 2_000


@dataclass(frozen=True, kw_only=True)
class Place:
    """A model that was found.

    Attributes:
        source: As it was asked for.
        kind: How it is written.
        folder: Where its files are.
        files: Those that are read, by name.
        title: Short, for people.
        unsafe: Names of files that could run code when they are read, and so never are.
    """

    source: str
    kind: Literal["folder", "gguf"]
    folder: Path
    files: Mapping[str, Path]
    title: str
    unsafe: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the file or the folder."""
        return next(iter(self.files)) if self.kind == "gguf" else self.folder.name

    @property
    def where(self) -> Path:
        """What a sentence about it begins with."""
        return self.files[self.name] if self.kind == "gguf" else self.folder

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file by name."""
        return {name: sha256_file(path) for name, path in sorted(self.files.items())}


def asks_the_hub(config: PretrainedConfig) -> bool:
    """Whether the network is needed."""
    return _of_the_hub(config.pretrained) is not None and not _exists(config.pretrained)


def find_place(config: PretrainedConfig) -> Place:
    """Find the files of a model.

    Raises:
        SourceError: If there is none, or none that can be read without running its code.
    """
    given = config.pretrained
    if _exists(given):
        return _local(given, Path(given).expanduser())
    if given.startswith("package:"):
        return _local(given, _inside_package(given))
    if (named := _of_the_hub(given)) is not None:
        from lmcore.model.pretrained.hub import fetched

        return _local(given, fetched(*named), title=named[0])
    if _HUB.fullmatch(given) and not given.startswith("."):
        raise SourceError(
            f"model.pretrained={given!r}: no such folder here, and a model of the hub needs the"
            " commit hash of its revision (owner/name@40 hexadecimal digits), so that it stays the"
            " same model"
        )
    raise SourceError(
        f"model.pretrained={short(given)}: no such folder or file; expected a folder in the Hugging"
        " Face layout, a GGUF file, package:NAME, or owner/name@REVISION"
    )


def _exists(given: str) -> bool:
    try:
        return Path(given).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # too long a name; no such user's home; NUL
        return False


def _of_the_hub(given: str) -> tuple[str, str] | None:
    """Repository and commit of a model of the hub; what looks like a path is one."""
    match = _HUB.fullmatch(given)
    if match is None or not _REVISION.fullmatch(match[2] or ""):
        return None
    return match[1], match[2]


def _inside_package(given: str) -> Path:
    match = _PACKAGE.fullmatch(given)
    if match is None:
        raise SourceError(
            f"model.pretrained={short(given)}: expected package:NAME or package:NAME/path/inside"
        )
    try:
        spec = importlib.util.find_spec(match[1])  # finding is not importing: nothing of it runs
    except (ImportError, ValueError):
        spec = None
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise SourceError(
            f"model.pretrained={given!r}: no package {match[1]!r} is installed; install the one"
            " that carries the model"
        )
    folder = Path(places[0]).resolve()
    if match[2]:
        inner = (folder / match[2]).resolve()
        if not inner.is_relative_to(folder) or not inner.exists():
            raise SourceError(f"model.pretrained={given!r}: the package has no {match[2]!r}")
        return inner
    found = sorted(folder.rglob("*.gguf"))
    found += sorted({p.parent for p in folder.rglob("*.safetensors") if _is_model(p.parent)})
    found = [path for path in found if path.resolve().is_relative_to(folder)]
    if len(found) != 1:
        names = ", ".join(str(p.relative_to(folder)) for p in found[:5]) or "none"
        raise SourceError(
            f"model.pretrained={given!r}: expected one model in the package, found {names}; name"
            " one as package:NAME/path/inside"
        )
    return found[0]


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _local(given: str, path: Path, *, title: str = "") -> Place:
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise SourceError(
                f"model.pretrained={given!r}: {path.name} is no GGUF file; expected one, or the"
                " folder of a model"
            )
        return Place(
            source=given,
            kind="gguf",
            folder=path.parent,
            files={path.name: path},
            title=title or path.name,
        )
    if not path.is_dir():
        raise SourceError(f"model.pretrained={given!r}: neither a folder nor a regular file")
    files = {p.name: p for pattern in _READ for p in path.glob(pattern) if p.is_file()}
    unsafe = tuple(sorted(p.name for pattern in _UNSAFE for p in path.glob(pattern)))
    single = sorted(path.glob("*.gguf"))
    if len(files) > _MOST_FILES:
        raise SourceError(f"model.pretrained={given!r}: {len(files):,} files; no model has so many")
    _check_links(given, path, [*files.values(), *single])
    if "config.json" not in files:
        if len(single) == 1 and single[0].is_file():
            return _local(given, single[0], title=title)
        what = (
            "an adapter without its model" if "adapter_config.json" in files else "no config.json"
        )
        raise SourceError(
            f"model.pretrained={given!r}: the folder has {what}; expected a model in the"
            " Hugging Face layout, or the path of one GGUF file"
        )
    return Place(
        source=given,
        kind="folder",
        folder=path,
        files=files,
        title=title or _title(path.resolve()),
        unsafe=unsafe,
    )


def _check_links(given: str, folder: Path, files: Iterable[Path]) -> None:
    """A folder from outside may not bring in files of this machine."""
    root = _cached(folder.resolve()) or folder.resolve()
    for file in files:
        if file.is_symlink() and not file.resolve().is_relative_to(root):
            raise SourceError(
                f"model.pretrained={given!r}: {file.name} is a link that leads out of the folder;"
                " put the file itself there"
            )


def _cached(folder: Path) -> Path | None:
    """The part of a cache of the hub that holds a snapshot, whose files are links into it."""
    return folder.parents[1] if len(folder.parts) > 3 and folder.parts[-2] == "snapshots" else None


def _title(folder: Path) -> str:
    kept = _cached(folder)
    named = kept.name.removeprefix("models--").replace("--", "/") if kept else folder.name
    return named or "model"
