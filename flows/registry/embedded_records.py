"""MLflow's tables of the embedded default, read without MLflow.

In: the database of a home.  Out: rows (`flows.registry.records`).  The tables are those of the
release that is pinned; `SCHEMA` names them, and a database with another name is left to MLflow,
which brings it up to date.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from filelock import FileLock

from flows.home.folders import Home
from flows.home.publication import held_by_up
from flows.home.registry_database import ready
from flows.registry.records import ModelRecord, RunRecord, StoredRecord, VersionRecord
from lmcore.errors import IntegrityError
from lmcore.kept_database import connected, damage

#: Revision of the tables that the pinned MLflow writes.
SCHEMA = "dc11669786a5"

# Like MLflow's client: the one workspace, and nothing that was deleted.
_VERSIONS = """
SELECT name, version, run_id, creation_time, source FROM model_versions
WHERE workspace = 'default' AND current_stage <> 'Deleted_Internal'"""
_NAMES = "SELECT name FROM registered_models WHERE workspace = 'default'"
_TAGS = "SELECT name, key, value FROM registered_model_tags WHERE workspace = 'default'"
_ALIASES = "SELECT name, alias, version FROM registered_model_aliases WHERE workspace = 'default'"
_VERSION_TAGS = """
SELECT name, version, key, value FROM model_version_tags WHERE workspace = 'default'"""
_RUN_COLUMNS = """
run_uuid, runs.experiment_id, experiments.name, runs.name, status, start_time, end_time,
artifact_uri"""
_RUN_TAGS = "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN"
_RUNS = """
SELECT {columns} FROM runs JOIN experiments ON experiments.experiment_id = runs.experiment_id
WHERE workspace = 'default' AND runs.lifecycle_stage = 'active'"""
_OF_EXPERIMENT = " AND experiments.name = ?"
_STORED = """
SELECT model_id, experiments.name, logged_models.artifact_location, creation_timestamp_ms
FROM logged_models
JOIN experiments ON experiments.experiment_id = logged_models.experiment_id
WHERE workspace = 'default' AND logged_models.lifecycle_stage <> 'deleted'"""


class Tables:
    """Reads the tables of a database as it is; none holds nothing.

    Args:
        path: Of the database.
        connect: Opens it.
    """

    def __init__(
        self, path: Path, connect: Callable[[Path], sqlite3.Connection] = connected
    ) -> None:
        self._path, self._connect = path, connect
        self._mine = threading.local()

    def is_known(self) -> bool:
        """Whether these are the tables that are read here, or there are none yet."""
        if not self._path.exists():
            return True
        with self._reading() as rows:
            if not rows("SELECT name FROM sqlite_master WHERE name = 'alembic_version'"):
                return False
            return rows("SELECT version_num FROM alembic_version") == [(SCHEMA,)]

    def models(self) -> list[ModelRecord]:
        """See `Records`."""
        return self._models("")

    def model(self, name: str) -> ModelRecord | None:
        """See `Records`."""
        return next(iter(self._models(" AND name = ?", name)), None)

    def _models(self, which: str, *values: object) -> list[ModelRecord]:
        with self._reading() as rows:
            names = rows(f"{_NAMES}{which} ORDER BY name", *values)
            tags = _grouped(rows(f"{_TAGS}{which}", *values))
            aliases = _grouped(rows(f"{_ALIASES}{which}", *values))
        return [
            ModelRecord(name=key[0], tags=tags.get(key, {}), aliases=aliases.get(key, {}))
            for key in names
        ]

    def versions(self, name: str | None = None) -> list[VersionRecord]:
        """See `Records`."""
        if name is None:
            return self._versions("")
        return self._versions(" AND name = ?", name)

    def version(self, name: str, number: int) -> VersionRecord | None:
        """See `Records`."""
        return next(iter(self._versions(" AND name = ? AND version = ?", name, number)), None)

    def latest(self, name: str) -> VersionRecord | None:
        """See `Records`."""
        with self._reading() as rows:
            found = rows(f"{_VERSIONS} AND name = ? ORDER BY version DESC LIMIT 1", name)
        return self.version(name, found[0][1]) if found else None

    def _versions(self, which: str, *values: object) -> list[VersionRecord]:
        with self._reading() as rows:
            found = rows(f"{_VERSIONS}{which} ORDER BY name, version", *values)
            tags = _grouped(rows(f"{_VERSION_TAGS}{which}", *values))
        return [
            VersionRecord(
                name=name,
                version=number,
                run_id=run_id,
                creation_timestamp=created,
                source=source,
                tags=tags.get((name, number), {}),
            )
            for name, number, run_id, created, source in found
        ]

    def sources(self) -> list[str]:
        """See `Records`."""
        with self._reading() as rows:
            return [source for *_, source in rows(f"{_VERSIONS} ORDER BY name, version")]

    def location(self, model_id: str) -> str | None:
        """See `Records`."""
        with self._reading() as rows:
            found = rows(f"{_STORED} AND model_id = ?", model_id)
        return str(found[0][2]) if found else None

    def stored(self, experiment: str | None = None) -> list[StoredRecord]:
        """See `Records`."""
        which, values = _of(experiment)
        with self._reading() as rows:
            found = rows(f"{_STORED}{which} ORDER BY model_id", *values)
        return [
            StoredRecord(
                model_id=identity,
                experiment=name,
                artifact_location=location,
                creation_timestamp=created,
            )
            for identity, name, location, created in found
        ]

    def runs(
        self, experiment: str | None = None, *, finished: bool = False, newest: int | None = None
    ) -> list[RunRecord]:
        """See `Records`."""
        of_it, values = _of(experiment)
        which = _RUNS + of_it + (" AND status = 'FINISHED'" if finished else "")
        order = "start_time, run_uuid" if newest is None else "start_time DESC, run_uuid"
        values = (*values, -1 if newest is None else newest)
        which = f"{which} ORDER BY {order} LIMIT ?"
        with self._reading() as rows:
            found = rows(which.format(columns=_RUN_COLUMNS), *values)
            among = which.format(columns="run_uuid")
            tags = _grouped(rows(f"{_RUN_TAGS} ({among})", *values))
        return [
            RunRecord(
                run_id=identity,
                experiment_id=str(number),
                experiment=of,
                name=name or "",
                status=status,
                start_time=started,
                end_time=ended,
                artifact_uri=uri,
                tags=tags.get((identity,), {}),
            )
            for identity, number, of, name, status, started, ended, uri in found
        ]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Callable[..., list[Any]]]:
        """What asks for rows; all that is asked inside is of one moment."""
        if not self._path.exists():
            yield lambda query, *values: []
            return
        try:
            database = self._connection()
            database.execute("BEGIN")
            try:
                yield lambda query, *values: database.execute(query, values).fetchall()
            finally:
                database.rollback()
        except sqlite3.DatabaseError as error:
            self._mine.opened = None
            raise IntegrityError(
                f"{self._path}: {damage(error, self._path)}; give the command again: what was last"
                " written to it is then put in its place, or you are told what to do."
            ) from error

    def _connection(self) -> sqlite3.Connection:
        """This thread's own: to open one takes longer than most questions, as all tables are read.

        A new one where the file is another one, or the process is.
        """
        state = self._path.stat()
        now = (os.getpid(), state.st_dev, state.st_ino)
        kept = getattr(self._mine, "opened", None)
        if kept is None or kept[0] != now:
            kept = self._mine.opened = (now, self._connect(self._path))
        return cast(sqlite3.Connection, kept[1])


class EmbeddedRecords(Tables):
    """Reads the tables of the embedded default, found sound before.

    Args:
        home: A prepared home.

    Raises:
        IntegrityError: If the database is damaged or lost, and cannot be put right.
    """

    def __init__(self, home: Home) -> None:
        super().__init__(home.mlflow_database)
        # `lmcore up` has seen to it, and holds the lock until this process answers.
        if not held_by_up(home.root):
            with FileLock(home.locks / "mlflow-start.lock"):
                ready(home)


def _of(experiment: str | None) -> tuple[str, tuple[object, ...]]:
    """The end of a question, and its values."""
    return ("", ()) if experiment is None else (_OF_EXPERIMENT, (experiment,))


def _grouped(rows: Iterable[Sequence[Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows of an owner's columns, a key and a value, as mappings by owner."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for *owner, key, value in rows:
        found.setdefault(tuple(owner), {})[key] = value
    return found
