"""Find the training that other hosts are to take part in: the one whose parent lives.

`lmcore run` writes a job and holds a lock as long as it waits for its end. A host that joins looks
for such a job in a folder that all hosts share, however long the text takes to be prepared.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Callable
from pathlib import Path

from lmcore.errors import ConfigError
from lmcore.training.launch.files import LaunchFiles

logger = logging.getLogger(__name__)

# Of a launch, of the work folder of a home, and of a home.
_PLACES = ("job.json", "*/launch/job.json", "work/*/launch/job.json")
_POLL_SECONDS = 0.5
_TOLD_SECONDS = 60.0


def wait_for_job(
    folder: Path,
    *,
    until: Path | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> LaunchFiles | None:
    """The newest job that is waited for, as soon as there is one.

    Args:
        folder: LMCORE_HOME, its work folder, or the folder of one launch.
        until: A file that ends the waiting when it is there.
        sleep: Lets time pass.

    Returns:
        Its files; None if `until` came first.

    Raises:
        ConfigError: If there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is not here; it is LMCORE_HOME of the host that trains, which all hosts"
            " share at the same path"
        )
    waited = 0.0
    while True:
        if found := live_job(folder):
            return found
        if until is not None and until.exists():
            return None
        if waited % _TOLD_SECONDS == 0:
            logger.info(
                "waits for a training in %s; it has to be on storage that the host of `lmcore run`"
                " shares",
                folder,
            )
        sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


def live_job(folder: Path) -> LaunchFiles | None:
    """The newest job in a folder whose parent waits for its end; None: there is none."""
    found: list[tuple[float, Path]] = []
    for pattern in _PLACES:
        for path in folder.glob(pattern):
            try:
                found.append((path.stat().st_mtime, path.parent))
            except FileNotFoundError:
                continue
    for _, place in sorted(found, reverse=True):
        files = LaunchFiles(place)
        if not files.result.exists() and is_held(files.parent):
            return files
    return None


def is_held(lock: Path) -> bool:
    """Whether a process, of whichever host, holds a lock for itself."""
    try:
        with lock.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
