"""Where a model that is gone on from lies: a folder, a GGUF file, a package, or the hub.

In: the configuration.  Out: the files that will be read, found without running anything of theirs.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lmcore.artifacts import sha256_file
from lmcore.errors import SourceError
from lmcore.model.config import PretrainedConfig

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
        unsafe: Names of files that could run code when they are read, and so never are.
    """

    source: str
    kind: Literal["folder", "gguf"]
    folder: Path
    files: Mapping[str, Path]
    unsafe: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Short, for people."""
        return next(iter(self.files)) if self.kind == "gguf" else self.folder.name

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file by name."""
        return {name: sha256_file(path) for name, path in sorted(self.files.items())}


def asks_the_hub(config: PretrainedConfig) -> bool:
    """Whether the network is needed."""
    given = config.pretrained
    return not Path(given).exists() and not given.startswith("package:") and "/" in given


def find_place(config: PretrainedConfig) -> Place:
    """Find the files of a model.

    Raises:
        SourceError: If there is none, or none that can be read without running its code.
    """
    given = config.pretrained
    path = Path(given).expanduser()
    if path.exists():
        return _local(given, path)
    if given.startswith("package:"):
        return _local(given, _inside_package(given))
    match = _HUB.fullmatch(given)
    # What looks like a path of a file system is one.
    if match is None or path.is_absolute() or given.startswith((".", "~")):
        raise SourceError(
            f"model.pretrained={given!r}: no such folder or file; expected a folder in the Hugging"
            " Face layout, a GGUF file, package:NAME, or owner/name@REVISION"
        )
    from lmcore.model.pretrained.hub import fetched

    repository, revision = match[1], match[2] or ""
    if not _REVISION.fullmatch(revision):
        raise SourceError(
            f"model.pretrained={given!r}: no such folder here, and a model of the hub needs the"
            " commit hash of its revision (owner/name@40 hexadecimal digits), so that it stays the"
            " same model"
        )
    return _local(given, fetched(repository, revision))


def _inside_package(given: str) -> Path:
    match = _PACKAGE.fullmatch(given)
    if match is None:
        raise SourceError(
            f"model.pretrained={given!r}: expected package:NAME or package:NAME/path/inside"
        )
    # Finding is not importing: nothing of the package runs.
    spec = importlib.util.find_spec(match[1])
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
    if len(found) != 1:
        names = ", ".join(str(p.relative_to(folder)) for p in found[:5]) or "none"
        raise SourceError(
            f"model.pretrained={given!r}: expected one model in the package, found {names}; name"
            " one as package:NAME/path/inside"
        )
    return found[0]


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _local(given: str, path: Path) -> Place:
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise SourceError(
                f"model.pretrained={given!r}: {path.name} is no GGUF file; expected one, or the"
                " folder of a model"
            )
        return Place(source=given, kind="gguf", folder=path.parent, files={path.name: path})
    if not path.is_dir():
        raise SourceError(f"model.pretrained={given!r}: neither a folder nor a regular file")
    files = {p.name: p for pattern in _READ for p in path.glob(pattern) if p.is_file()}
    unsafe = tuple(sorted(p.name for pattern in _UNSAFE for p in path.glob(pattern)))
    if len(files) > _MOST_FILES:
        raise SourceError(f"model.pretrained={given!r}: {len(files):,} files; no model has so many")
    if "config.json" not in files:
        single = sorted(path.glob("*.gguf"))
        if len(single) == 1 and single[0].is_file():
            return _local(given, single[0])
        raise SourceError(
            f"model.pretrained={given!r}: the folder has no config.json; expected a model in the"
            " Hugging Face layout, or the path of one GGUF file"
        )
    return Place(source=given, kind="folder", folder=path, files=files, unsafe=unsafe)
