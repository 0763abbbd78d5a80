"""Versions and stored models that go, with their files.

In: a version that nobody needs, or a stored model that no version names.  Out: neither they nor
their files; what else a version needs first (locks, a note in the history) is the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Sequence, Set
from dataclasses import dataclass

from flows.registry.artifact_files import stored_bytes
from flows.registry.records import Store, StoredRecord
from flows.registry.shared_files import Links
from flows.registry.stored_models import StoredModels
from flows.registry.version_files import VersionFiles
from flows.registry.versions import Version
from lmcore.errors import PromotionConflictError

_DAY_MILLISECONDS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class StrayModel:
    """A stored model that no version names."""

    id: str
    num_bytes: int


class Deletion:
    """What a registry deletes; MLflow itself leaves the files."""

    def __init__(self, store: Store, stored: StoredModels, files: VersionFiles) -> None:
        self._store, self._stored, self._files = store, stored, files

    def num_bytes(self, version: Version, leaving: Links | None = None) -> int:
        """Bytes that go with a version's files, where they lie on this machine.

        Args:
            version: Which one.
            leaving: Of versions that would go with it.
        """
        return self._files.num_bytes(version, leaving)

    def remove(self, version: Version) -> None:
        """Delete a version, then its files; only under `lock`, and never one with an alias.

        A kill in between leaves a stray model.

        Raises:
            PromotionConflictError: If it has an alias; nothing was deleted.
        """
        name, number = version.model, version.number
        # MLflow would drop the alias without a word.
        held = [alias for alias, n in self._store.aliases(name).items() if n == number]
        if held:
            raise PromotionConflictError(
                f"version {number} of {name} is {held[0]} now; it was not deleted."
            )
        self._store.client.delete_model_version(name, str(number))
        self.remove_model(version.source.removeprefix("models:/"))
        self._files.forget(version)

    def stored(self) -> dict[str, list[StoredRecord]]:
        """What was stored for each registered model; where each lies is not asked for again."""
        found: dict[str, list[StoredRecord]] = {}
        for model in self._stored.of_model(None):
            found.setdefault(model.experiment, []).append(model)
        return found

    def named_sources(self) -> set[str]:
        """Stored models that some version of some model names."""
        return {source.removeprefix("models:/") for source in self._store.records.sources()}

    def stray_models(
        self,
        name: str,
        named: Set[str] | None = None,
        stored: Sequence[StoredRecord] | None = None,
    ) -> list[StrayModel]:
        """Models that were stored for `name` and that no version names.

        A kill between the upload and the version leaves one. Where other machines register too,
        what was begun within a day may still become a version.

        Args:
            name: Registered model.
            named: What `named_sources` says, where the caller has asked already.
            stored: What `stored` says of the model, likewise.
        """
        if named is None:
            named = self.named_sources()
        if stored is None:
            stored = self._stored.of_model(name)
        youngest = time.time() * 1000 - (0 if self._store.home.embedded else _DAY_MILLISECONDS)
        return [
            StrayModel(id=model.model_id, num_bytes=stored_bytes(model.artifact_location))
            for model in stored
            if model.model_id not in named and model.creation_timestamp <= youngest
        ]

    def remove_model(self, model_id: str) -> None:
        """Delete the files of a stored model, then the model."""
        self._stored.remove(model_id)
