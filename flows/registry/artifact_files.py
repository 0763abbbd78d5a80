"""Files at MLflow's artifact locations: here by path, elsewhere through the server."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse

from flows.registry.metric_queue import first_line

logger = logging.getLogger(__name__)


def is_local(location: str) -> bool:
    """Whether an artifact location is a folder of this machine."""
    return location.startswith(("/", "file:"))


def stored_bytes(location: str) -> int:
    """Bytes of the files at an artifact location; 0 where they are not on this machine."""
    if not is_local(location):
        return 0
    files = (path for path in path_of(location).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)


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


def path_of(location: str) -> Path:
    """The folder of an artifact location on this machine."""
    return Path(unquote(urlparse(location).path) if location.startswith("file:") else location)
