"""What a server needs of the registry: which version an alias means, and its verified files.

In: a prepared home.  Out: versions as `flows.registry.versions` describes them, and a stamp that
changes when the registry may have changed.

In the embedded default MLflow's tables are read as they are, without MLflow: its client takes two
hundred megabytes and seconds of start that a process which only answers requests has no use for.
Anything that is not as expected there, and every server, is asked through the client.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from filelock import FileLock

from flows.home.environment import Home
from flows.home.publication import held_by_up
from flows.home.registry_database import ready
from flows.registry.artifact_files import VERSION_PLACE, is_local, open_registered, path_of
from flows.registry.registered_base import KIND, KIND_TAG
from flows.registry.versions import Version, describe
from lmcore.errors import IntegrityError, NotFoundError
from lmcore.version_folder import VersionFolder

_POLL_SECONDS = 2.0
_NAMES = """
SELECT name FROM registered_models WHERE name NOT IN
  (SELECT name FROM registered_model_tags WHERE key = ? AND value = ?) ORDER BY name"""
_VERSION = """
SELECT name, version, run_id, creation_time, source FROM model_versions
WHERE name = ? AND version = ? AND current_stage <> 'Deleted_Internal'"""


class RegistryReader(Protocol):
    """Reads a registry."""

    def stamp(self) -> object:
        """Something that is another when the registry may have changed; cheap to ask for."""
        ...

    def models(self) -> list[str]:
        """Names of all models that pipelines made, sorted."""
        ...

    def version(self, name: str, which: int | str) -> Version:
        """One version, by number or alias.

        Raises:
            NotFoundError: If the model, the version or the alias does not exist.
        """
        ...

    def open(self, version: Version) -> VersionFolder:
        """Verify the files of a version, and those of its base.

        Raises:
            IntegrityError: If they are missing or differ.
        """
        ...


def reader(home: Home) -> RegistryReader:
    """What suits the home."""
    return EmbeddedReader(home) if home.embedded else ClientReader(home)


def registry_stamp(home: Home, *, poll_seconds: float = _POLL_SECONDS) -> object:
    """Something that is another when the registry may have changed.

    Args:
        home: A prepared home.
        poll_seconds: How often a server is asked; of the embedded default its files say it.
    """
    if not home.embedded:
        return int(time.monotonic() / poll_seconds)
    found = []
    for suffix in ("", "-wal"):
        try:
            state = Path(f"{home.mlflow_database}{suffix}").stat()
            found.append((state.st_ino, state.st_mtime_ns, state.st_size))
        except FileNotFoundError:
            found.append((0, 0, 0))
    return tuple(found)


class ClientReader:
    """Asks through MLflow's client.

    Args:
        home: A prepared home.
    """

    def __init__(self, home: Home) -> None:
        from flows.registry.models import Registry

        self._home, self._registry = home, Registry(home)

    def stamp(self) -> object:
        """See `RegistryReader`."""
        return registry_stamp(self._home)

    def models(self) -> list[str]:
        """See `RegistryReader`."""
        return self._registry.models()

    def version(self, name: str, which: int | str) -> Version:
        """See `RegistryReader`."""
        return self._registry.version(name, which)

    def open(self, version: Version) -> VersionFolder:
        """See `RegistryReader`."""
        return self._registry.open(version)


class EmbeddedReader:
    """Reads the tables of the embedded default.

    Args:
        home: A prepared home.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        # `lmcore up` has seen to it, and holds the lock until this process answers.
        if not held_by_up(home.root):
            with FileLock(home.locks / "mlflow-start.lock"):
                ready(home)

    def stamp(self) -> object:
        """See `RegistryReader`."""
        return registry_stamp(self._home)

    def models(self) -> list[str]:
        """See `RegistryReader`."""
        return [name for (name,) in self._rows(_NAMES, KIND_TAG, KIND)]

    def version(self, name: str, which: int | str) -> Version:
        """See `RegistryReader`."""
        if name not in self.models():
            raise NotFoundError(f"model {name!r} does not exist; `lmcore status` lists models.")
        rows = self._rows(
            "SELECT alias, version FROM registered_model_aliases WHERE name = ?", name
        )
        by_number: dict[int, list[str]] = {}
        for alias, number in rows:
            by_number.setdefault(int(number), []).append(str(alias))
        numbers = {alias: number for number, names in by_number.items() for alias in names}
        number = which if isinstance(which, int) else numbers.get(which)
        found = self._rows(_VERSION, name, number) if number is not None else []
        if not found:
            what = f"version {which}" if isinstance(which, int) else f"alias {which!r}"
            raise NotFoundError(f"model {name} has no {what}; `lmcore versions` lists them.")
        tags = self._rows(
            "SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?", name, number
        )
        ((model, number, run_id, created, source),) = found
        row = SimpleNamespace(
            name=model,
            version=number,
            run_id=run_id,
            creation_timestamp=created,
            source=source,
            tags=dict(tags),
        )
        return describe(row, by_number)

    def open(self, version: Version) -> VersionFolder:
        """See `RegistryReader`; a base that the home lacks is fetched through the client."""
        model_id = version.source.removeprefix("models:/")
        rows = self._rows(
            "SELECT artifact_location FROM logged_models WHERE model_id = ?", model_id
        )
        if len(rows) != 1 or not is_local(str(rows[0][0])):
            return ClientReader(self._home).open(version)
        folder = open_registered(path_of(str(rows[0][0])) / VERSION_PLACE, version)
        if (wanted := folder.base()) is not None:
            from lmcore.model.pretrained import shelf
            from lmcore.model.pretrained.base import check_base

            try:
                check_base(shelf.verified(shelf.find(wanted.key)), wanted)
            except IntegrityError:
                return ClientReader(self._home).open(version)
        return folder

    def _rows(self, query: str, *values: object) -> list[Any]:
        with self._connected() as database:
            return database.execute(query, values).fetchall()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        path = self._home.mlflow_database
        if not path.exists():
            raise NotFoundError(
                f"no model is registered in {self._home.root}; make one with `lmcore run`."
            )
        try:
            address = f"{path.as_uri()}?mode=ro"
            with contextlib.closing(sqlite3.connect(address, uri=True, timeout=30)) as database:
                yield database
        except sqlite3.DatabaseError as error:
            raise IntegrityError(
                f"{path}: not a registry that can be read ({error}); restore it from a copy, or"
                " set LMCORE_HOME to another folder."
            ) from error
