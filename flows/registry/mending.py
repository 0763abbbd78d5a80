"""Damaged files of a version, put back from what else the home holds of the same content.

In: a version, its folder.  Out: the folder as it was registered, or what it lacks.  Weights,
tokenizer and scores also lie in the content store; what is the version's alone is kept a second
time when it is registered.  A file is known by its hash, so it does not matter who keeps it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from filelock import FileLock

from flows.home.environment import Home
from flows.registry.shared_files import SharedFiles
from flows.registry.versions import Version
from lmcore.digests import sha256_file
from lmcore.durable import fsync_directory, storing
from lmcore.errors import IntegrityError
from lmcore.manifest import MANIFEST, Manifest
from lmcore.mending import DAMAGED, note_mending, set_aside
from lmcore.version_folder import VersionFolder, open_version

#: A larger file is not kept twice; nothing that people read is.
_KEPT_BYTES = 64 << 20


class VersionKeeper:
    """Second copies of versions' files, and what is mended with them.

    Args:
        home: Where the files of versions are folders of this machine.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._shared = SharedFiles(home.root / "kept" / "shared")

    def keep(self, folder: VersionFolder) -> None:
        """Keep what is nowhere else in the home; a full disk does not stop a registration."""
        target = self._folder(folder.manifest_sha256)
        elsewhere = {found for found, _ in self._stored()}
        with contextlib.suppress(OSError):
            for name, (size, sha256) in folder.manifest.files.items():
                if size <= _KEPT_BYTES and (size, sha256) not in elsewhere:
                    _copy(folder.path / name, target / name)
            _copy(folder.path / MANIFEST, target / MANIFEST)
            self._shared.share(target, folder.manifest.files)

    def keep_beside(self, model: Path, hashes: Mapping[str, str]) -> None:
        """Keep what MLflow has around a version; the same content of several versions once.

        Args:
            model: MLflow's folder.
            hashes: SHA-256 by name.
        """
        with contextlib.suppress(OSError):
            for name, sha256 in hashes.items():
                if not _is(self._beside / sha256, None, sha256):
                    _copy(model / name, self._beside / sha256)

    def mend_beside(self, model: Path, hashes: Mapping[str, str], problem: str) -> None:
        """Put back what MLflow had around a version; what is not kept stays as it is."""
        damaged = {n: sha for n, sha in hashes.items() if not _is(model / n, None, sha)}
        done = []
        with FileLock(self._home.locks / "mend-beside.lock"):
            for name, sha256 in sorted(damaged.items()):
                if _is(self._beside / sha256, None, sha256):
                    self._replace(model / name, self._beside / sha256)
                    done.append(name)
        if done:
            remedy = f"put back from what the home holds of the same content: {', '.join(done)}"
            note_mending(self._home.root, model, problem=problem, remedy=remedy)

    @property
    def _beside(self) -> Path:
        return self._home.root / "kept" / "mlflow"

    def forget(self, version: Version) -> None:
        """Delete what is kept of a version."""
        shutil.rmtree(self._folder(version.manifest_sha256), ignore_errors=True)
        self._shared.tidy()

    def mend(self, version: Version, folder: Path) -> bool:
        """Put back what is damaged.

        Returns:
            Whether the folder is now what was registered.
        """
        wanted = version.manifest_sha256
        with FileLock(self._home.locks / f"mend-{wanted[:16]}.lock"):
            try:
                open_version(folder, manifest_sha256=wanted)
                return True
            except IntegrityError as error:
                problem = str(error)
            put_back = self._put_back(folder, wanted)
            try:
                open_version(folder, manifest_sha256=wanted)
            except IntegrityError:
                return False
        remedy = f"put back from what the home holds of the same content: {', '.join(put_back)}"
        note_mending(self._home.root, folder, problem=problem, remedy=remedy)
        return True

    def _put_back(self, folder: Path, wanted: str) -> list[str]:
        kept = self._folder(wanted)
        done = []
        if not _is(folder / MANIFEST, None, wanted):
            if not _is(kept / MANIFEST, None, wanted):
                return []
            self._replace(folder / MANIFEST, kept / MANIFEST)
            done.append(MANIFEST)
        files = Manifest.read(folder).files
        damaged = {
            name: expected for name, expected in files.items() if not _is(folder / name, *expected)
        }
        sources = self._sources(damaged, kept)
        for name in damaged.keys() & sources.keys():
            self._replace(folder / name, sources[name])
            done.append(name)
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if not path.is_dir() and name not in files and path != folder / MANIFEST:
                set_aside(self._home.root, path)
                done.append(f"without {name}")
        return sorted(done)

    def _sources(self, damaged: Mapping[str, tuple[int, str]], kept: Path) -> Mapping[str, Path]:
        """Where the content of each damaged file is found sound."""
        stored: dict[tuple[int, str], list[Path]] = {}
        for identity, path in self._stored():
            stored.setdefault(identity, []).append(path)
        found = {}
        for name, identity in damaged.items():
            for path in (kept / name, *stored.get(identity, ())):
                if _is(path, *identity):
                    found[name] = path
                    break
        return found

    def _stored(self) -> Iterator[tuple[tuple[int, str], Path]]:
        """Size, hash and place of every file of the content store."""
        for folder in self._home.content.glob("*/[!.]*"):
            if folder.parent.name == DAMAGED:
                continue
            with contextlib.suppress(IntegrityError, NotADirectoryError):
                for name, identity in Manifest.read(folder).files.items():
                    yield identity, folder / name

    def _replace(self, damaged: Path, sound: Path) -> None:
        if damaged.is_symlink() or damaged.exists():
            set_aside(self._home.root, damaged)
        _copy(sound, damaged)

    def _folder(self, manifest_sha256: str) -> Path:
        return self._home.root / "kept" / "versions" / manifest_sha256


def _is(path: Path, size: int | None, sha256: str) -> bool:
    """Whether a file has this content."""
    try:
        if path.is_symlink() or (size is not None and path.stat().st_size != size):
            return False
        return sha256_file(path) == sha256
    except OSError:
        return False


def _copy(source: Path, target: Path) -> None:
    with storing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, partial)
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(partial, target)
        fsync_directory(target.parent)
