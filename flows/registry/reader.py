"""What a server needs of the registry: which version an alias means, and its verified files.

In: a prepared home.  Out: versions as `flows.registry.versions` describes them, and a stamp that
changes when the registry may have changed.  MLflow's client, two hundred megabytes that a process
which only answers requests has no use for, is not imported where the tables are the home's own.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Protocol

from flows.home.environment import Home
from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.errors import NotFoundError
from lmcore.version_folder import VersionFolder

_POLL_SECONDS = 2.0


class RegistryReader(Protocol):
    """Reads a registry."""

    def stamp(self) -> object:
        """Something that is another when the registry may have changed; cheap to ask for."""
        ...

    def models(self) -> list[str]:
        """Names of all models that pipelines made, sorted.

        Raises:
            NotFoundError: If the home has no registry.
        """
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


class HomeReader:
    """Reads the registry of a home.

    Args:
        home: A prepared home.
    """

    def __init__(self, home: Home) -> None:
        self._home, self._registry = home, Registry(home)

    def stamp(self) -> object:
        """See `RegistryReader`."""
        return registry_stamp(self._home)

    def models(self) -> list[str]:
        """See `RegistryReader`."""
        found = self._registry.models()
        if not found and self._home.embedded and not self._home.mlflow_database.exists():
            raise NotFoundError(
                f"no model is registered in {self._home.place}; make one with `lmcore run`."
            )
        return found

    def version(self, name: str, which: int | str) -> Version:
        """See `RegistryReader`."""
        return self._registry.version(name, which)

    def open(self, version: Version) -> VersionFolder:
        """See `RegistryReader`."""
        return self._registry.open(version, whole=False)
