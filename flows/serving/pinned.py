"""Versions that a request names itself (`NAME:7`): loaded for it, kept as long as there is room.

In: what the registry calls a version.  Out: the same, loaded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from flows.registry.versions import Version
from flows.serving.loaded import Loaded
from flows.serving.refusal import RefusalError
from lmcore.errors import LmcoreError

_MOST = 2


class Pinned:
    """The versions that were asked for last.

    Args:
        load: Verifies and loads a version.
    """

    def __init__(self, load: Callable[[Version], Loaded]) -> None:
        self._load = load
        self._kept: OrderedDict[tuple[str, int], Loaded] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, version: Version) -> Loaded:
        """Load a version, which takes seconds, unless it is there.

        Raises:
            RefusalError: If it was quarantined or cannot be loaded, or there is no room for it.
        """
        name, number = version.model, version.number
        if version.quarantined:
            raise RefusalError(
                404,
                f"version {number} of {name} was taken out of use",
                param="model",
                code="model_not_found",
            )
        with self._lock:
            if (found := self._kept.get((name, number))) is not None:
                self._kept.move_to_end((name, number))
                return found
            self._make_room()
            try:
                found = self._load(version)
            except LmcoreError as error:
                raise RefusalError(
                    503, f"version {number} of {name} cannot be loaded", retry_after=60
                ) from error
            self._kept[name, number] = found
            return found

    def _make_room(self) -> None:
        """End the version that was asked for longest ago, if it is idle."""
        while len(self._kept) >= _MOST:
            idle = next((key for key, one in self._kept.items() if not one.busy), None)
            if idle is None:
                raise RefusalError(
                    429,
                    f"{_MOST} other versions are answering; try again, or ask for the one in use",
                    code="rate_limit_exceeded",
                    retry_after=5,
                )
            self._kept.pop(idle).close(wait=False)

    def loaded(self) -> list[Loaded]:
        """What is kept."""
        return list(self._kept.values())

    def forget(self) -> list[Loaded]:
        """Keep nothing any more; returns what was kept, for the caller to close."""
        forgotten = self.loaded()
        self._kept.clear()
        return forgotten
