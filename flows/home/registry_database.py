"""The database of the embedded registry: found sound before anything is decided from it.

In: a home.  Out: a database that holds what was last written to it and names files of this home, or
one sentence why not.  It says which version is in use and what the gates said; how it is kept and
put back is `lmcore.kept_database`'s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from flows.home.folders import Home
from flows.home.locks import BusyError, owning_content
from flows.home.relocation import relocate
from lmcore.kept_database import KeptDatabase, drop_unfinished


def ready(home: Home) -> None:
    """See to it that the database is what was last written, and names files of this home.

    The caller holds the lock `mlflow-start`, so that nobody else creates or mends it meanwhile.

    Raises:
        IntegrityError: If it is damaged or missing and cannot be put right.
        StorageError: If its disk fails.
        BusyError: If it is damaged, and a run works with it.
    """
    path = home.mlflow_database

    @contextlib.contextmanager
    def alone() -> Iterator[None]:
        try:
            with owning_content(home.locks):
                yield
        except BusyError as error:
            raise BusyError(
                f"{path}: it is damaged, and a run works with it. Give the command again when that"
                " has ended: the database is then put right."
            ) from error

    drop_unfinished(path)
    _database(home).ready(used=any(home.mlflow_artifacts.iterdir()), alone=alone)
    if path.exists() and path.stat().st_size:
        relocate(path, home.mlflow_artifacts)


def keep(home: Home) -> None:
    """Keep it a second time, where it has changed since that was last done."""
    _database(home).keep()


def _database(home: Home) -> KeptDatabase:
    return KeptDatabase(
        home.mlflow_database,
        root=home.root,
        holds="every version and its history",
        remedy="restore it from a backup, or set LMCORE_HOME to another folder",
    )
