"""The database of Prefect's server: sound before a server opens it, or set aside.

In: a home.  Out: a database that a server can open, or none, which the server makes.

It holds what flow runs said and what is scheduled.  Nothing is decided from it, and `lmcore up`
writes schedules anew at each start, so one that cannot be used stops nobody.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from flows.home import prefect_template
from flows.home.folders import Home
from flows.home.publication import exclusive_use
from lmcore.durable import atomic_write, storing
from lmcore.kept_database import being_made, is_being_made, problem_of, remove_database
from lmcore.mending import note_mending, set_aside


def ready(home: Home, *, alone: Callable[[], AbstractContextManager[None]] | None = None) -> None:
    """Set the database aside where SQLite finds it damaged.

    Args:
        home: Whose it is.
        alone: Entered before it is set aside; default: nobody else may have a server on it.

    Raises:
        StorageError: If its disk fails.
        UserError: If it is damaged, and another server works with it.
    """
    path = home.prefect_database
    if not path.exists() or path.stat().st_size == 0 or _read(home) == _stamp(path):
        return
    if (problem := problem_of(path)) is not None:
        replace(home, problem, alone=alone)


def replace(
    home: Home,
    problem: str,
    *,
    alone: Callable[[], AbstractContextManager[None]] | None = None,
) -> None:
    """Set a database aside that no server can open, so that a new one is made.

    Args:
        home: Whose it is.
        problem: What is wrong with it.
        alone: As of `ready`.
    """
    path = home.prefect_database
    with alone() if alone else exclusive_use(home.root):
        kept = set_aside(home.root, path)
        remove_database(path)
    remedy = f"a new one is made; what flow runs said until now is in {kept}"
    note_mending(home.root, path, problem=problem, remedy=remedy)


@contextlib.contextmanager
def being_started(home: Home, *, from_template: bool = True) -> Iterator[None]:
    """Inside, a server may make its database; a kill in between leaves none.

    Args:
        home: Whose it is; the caller holds the lock `prefect-start`.
        from_template: Whether a new one may begin as a copy of the installation's.

    Raises:
        StorageError: If its disk is full or fails.
    """
    path = home.prefect_database
    with being_made(path):
        if from_template and not path.exists():
            with storing(path):
                prefect_template.copy_to(path)
        yield


def is_unfinished(home: Home) -> bool:
    """Whether the database is being made: nobody has used it, and the next server drops it."""
    return is_being_made(home.prefect_database)


def found_sound(home: Home) -> None:
    """Remember the database as a server left it that ended in order; the next one need not look."""
    with contextlib.suppress(OSError):
        atomic_write(_file(home), json.dumps(_stamp(home.prefect_database)))


def _file(home: Home) -> Path:
    return home.prefect / "sound.json"


def _read(home: Home) -> object:
    try:
        return json.loads(_file(home).read_bytes())
    except (OSError, ValueError):
        return None


def _stamp(path: Path) -> list[list[int]]:
    found = []
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            state = Path(f"{path}{suffix}").stat()
            found.append([state.st_ino, state.st_mtime_ns, state.st_size])
    return found
