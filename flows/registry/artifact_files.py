"""Files at MLflow's artifact locations: here by path, elsewhere through the server."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

from flows.registry.metric_queue import first_line
from flows.registry.shared_files import Links
from flows.registry.versions import Version
from lmcore.errors import IntegrityError
from lmcore.manifest import MANIFEST, Manifest
from lmcore.version_folder import VersionFolder, open_version

logger = logging.getLogger(__name__)


def is_local(location: str) -> bool:
    """Whether an artifact location is a folder of this machine."""
    return location.startswith(("/", "file:"))


def stored_bytes(location: str) -> int:
    """Bytes of the files at an artifact location; 0 where they are not on this machine."""
    if not is_local(location):
        return 0
    return folder_bytes(path_of(location))


def folder_bytes(folder: Path | str) -> int:
    """Bytes of the files in a folder; 0 where there is none."""
    return sum(state.st_size for state in _states(folder))


def freed_bytes(path: Path, leaving: Links | None = None) -> int:
    """Bytes that are free once a file or folder is deleted: what others link to stays.

    Args:
        path: 0 where there is nothing.
        leaving: How many links of each file go as well, which are still there; it is counted.
    """
    leaving = Links() if leaving is None else leaving
    total = 0
    if path.is_symlink():
        return 0
    states = _states(path)
    with contextlib.suppress(FileNotFoundError):
        if path.is_file():
            states = iter([path.stat()])
    for state in states:
        place = (state.st_dev, state.st_ino)
        leaving[place] += 1
        total += state.st_size if leaving[place] >= state.st_nlink else 0
    return total


def _states(folder: Path | str) -> Iterator[os.stat_result]:
    """Of all files in a folder; none where there is none."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _states(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    with contextlib.suppress(FileNotFoundError):
                        yield entry.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        pass


def remove_artifacts(location: str) -> None:
    """Delete the files at an artifact location, here or through the server."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    if is_local(location):
        shutil.rmtree(path_of(location), ignore_errors=True)
        return
    try:
        get_artifact_repository(location).delete_artifacts()  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever the store's driver raises
        logger.warning("files at %s are still there: %s", location, first_line(error))


def open_registered(folder: Path, version: Version, *, whole: bool = True) -> VersionFolder:
    """Verify the files of a version where they lie, against its registered manifest.

    Args:
        folder: Where they lie.
        version: What was registered.
        whole: As of `open_version`.

    Raises:
        IntegrityError: If they are missing or differ.
    """
    if not folder.is_dir():
        raise IntegrityError(
            f"{folder}: the files of version {version.number} of {version.model} are missing;"
            " nothing was loaded. Restore them or use another version"
        )
    return open_version(folder, manifest_sha256=version.manifest_sha256, whole=whole)


def registered_manifest(folder: Path, version: Version) -> Manifest:
    """The manifest of a version, which is the registered one; its other files are left alone.

    Raises:
        IntegrityError: If it is missing or another one.
    """
    content = (folder / MANIFEST).read_bytes() if (folder / MANIFEST).is_file() else b""
    if hashlib.sha256(content).hexdigest() != version.manifest_sha256:
        raise IntegrityError(
            f"{folder / MANIFEST}: not the manifest of version {version.number} of {version.model}"
            " that was registered. Restore it, or use another version"
        )
    return Manifest.read(folder)


def path_of(location: str) -> Path:
    """The folder of an artifact location on this machine."""
    return Path(unquote(urlparse(location).path) if location.startswith("file:") else location)
