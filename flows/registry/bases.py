"""Models that others are made from, registered once: a kind of registered model of their own.

In: a `Base`.  Out: a numbered version of the registered model `base-NAME`, with its files, its
licence and its hashes.  It was made by nobody here, so no gate judges it, nothing promotes it and
no command takes it for a model of a pipeline.  A fine-tuned version names it by hash; where the
home does not hold it, it is fetched from here.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from flows.registry.metric_queue import first_line
from flows.registry.records import KIND, KIND_TAG, Store
from flows.registry.registered_base import (
    RegisteredBase,
    base_tags,
    describe_base,
    description,
    model_name,
)
from flows.registry.stored_models import Contents, StoredModels
from lmcore.content_store import ContentStore
from lmcore.digests import sha256_file
from lmcore.errors import IntegrityError
from lmcore.manifest import MANIFEST
from lmcore.model.pretrained import shelf
from lmcore.model.pretrained.base import Base, BaseRecord, BaseReference, check_base

_DATA = "data/base"  # of MLflow's model folder
_DAY_MILLISECONDS = 86_400_000


class Bases:
    """The bases of one registry.

    Args:
        store: Of the registry.
        stored: Where MLflow keeps their files.
        lock: Called with a registered model's name and a purpose.
    """

    def __init__(
        self,
        store: Store,
        stored: StoredModels,
        *,
        lock: Callable[[str, str], AbstractContextManager[None]],
    ) -> None:
        self._home, self._store, self._stored, self._lock = store.home, store, stored, lock

    def names(self) -> list[str]:
        """Their registered models."""
        return [model.name for model in self._store.records.models() if model.is_base]

    def all(self) -> list[RegisteredBase]:
        """All of them."""
        return [base for name in self.names() for base in self._of(name)]

    def _of(self, name: str) -> list[RegisteredBase]:
        return [describe_base(version) for version in self._store.records.versions(name)]

    def find(self, key: str) -> RegisteredBase | None:
        """The one with this key."""
        return next((base for base in self.all() if base.key == key), None)

    # -- registering -----------------------------------------------------------------------------

    def register(self, base: Base) -> RegisteredBase:
        """Store a base's files and verify what was stored; one that is here already is left alone.

        Raises:
            IntegrityError: If its files differ from the manifest before or after they are stored,
                or the registered one with this key has other weights; nothing is registered then.
        """
        base = Base.open(base.path)
        record = base.record()
        name = self._name(record, base.key)
        with self._lock(name, "register"):
            if (known := self.find(base.key)) is not None:
                if known.weights_sha256 != record.weights_sha256:
                    raise IntegrityError(
                        f"{base.path}: its weights are {record.weights_sha256[:12]}, but the"
                        f" registry has {known.weights_sha256[:12]} for this pretrained model"
                        f" ({known.designation}); delete the folder to have it made again"
                    )
                return known
            manifest = sha256_file(base.path / MANIFEST)
            source = self._stored.store(
                lambda saved: _link_tree(base.path, saved / _DATA), _contents(manifest), name=name
            )
            self._create(name)
            created = self._store.client.create_model_version(
                name,
                source=source,
                model_id=source.removeprefix("models:/"),
                description=description(record),
                tags=base_tags(base, record, manifest),
            )
            # A request that is sent again makes a second version of the same files.
            same = [b for b in self._of(name) if b.source == source]
            for surplus in same[1:]:
                self._store.client.delete_model_version(name, str(surplus.number))
            return same[0] if same else describe_base(created)

    def _name(self, record: BaseRecord, key: str) -> str:
        name = model_name(record)
        found = self._store.records.model(name)
        return name if found is None or found.is_base else f"{name}-{key[:12]}"

    def _create(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._store.client.create_registered_model(name, tags={KIND_TAG: KIND})
        except MlflowException:
            # It is there, or another machine was faster.
            if name not in self.names():
                raise

    # -- using -----------------------------------------------------------------------------------

    def provide(self, wanted: BaseReference, *, whom: str) -> Base:
        """The verified base of a version, in the home's content store; fetched where it is not.

        Args:
            wanted: What the version names.
            whom: The version, for the message.

        Raises:
            IntegrityError: If it is nowhere, damaged, or another one.
        """
        folder = ContentStore(self._home.content).path(Base.kind, wanted.key)
        if not folder.is_dir():
            known = self.find(wanted.key)
            if known is None:
                raise IntegrityError(
                    f"{folder}: the pretrained model {wanted.key[:12]} that {whom} was made from is"
                    " missing, and the registry does not hold it either; nothing was loaded."
                    " Restore the folder, or run the pipeline that imports this model"
                )
            # The lock of who makes a content folder.
            lock = folder.with_name(f".{folder.name}.lock")
            folder.parent.mkdir(parents=True, exist_ok=True)
            contents = _contents(known.manifest_sha256)
            from mlflow.exceptions import MlflowException

            try:
                self._stored.fetch(known.source, contents, target=folder, lock=lock)
            except (IntegrityError, MlflowException, OSError) as error:
                reason = first_line(error).partition("; nothing was loaded")[0]
                raise IntegrityError(
                    f"the pretrained model {wanted.key[:12]} that {whom} was made from is not in"
                    f" this home, and {known.designation} of the registry cannot be used"
                    f" ({reason}); nothing was loaded. Restore its files, or run the pipeline that"
                    " imports this model"
                ) from error
        base = shelf.verified(folder)
        check_base(base, wanted)
        shelf.use(self._home.content)
        return base

    # -- deleting --------------------------------------------------------------------------------

    def num_bytes(self, base: RegisteredBase) -> int:
        """Bytes of its files, where they lie on this machine."""
        return self._stored.num_bytes(base.source)

    def may_be_awaited(self, base: RegisteredBase) -> bool:
        """Whether another machine may be about to register a version that names it."""
        age = time.time() * 1000 - base.created
        return not self._home.embedded and age < _DAY_MILLISECONDS

    def remove(self, base: RegisteredBase) -> None:
        """Delete its version, its files, and the registered model where that was all it had."""
        with self._lock(base.model, "register"):
            self._store.client.delete_model_version(base.model, str(base.number))
            self._stored.remove(base.source.removeprefix("models:/"))
            if not self._of(base.model):
                self._store.client.delete_registered_model(base.model)


def _contents(manifest_sha256: str) -> Contents:
    def verify(folder: Path) -> None:
        Base.open(folder)
        found = sha256_file(folder / MANIFEST)
        if found != manifest_sha256:
            raise IntegrityError(
                f"{folder / MANIFEST}: not the manifest that was registered (sha256 {found[:12]},"
                f" the registry says {manifest_sha256[:12]}); nothing was loaded. Restore the files"
                " of this pretrained model, or run the pipeline that imports it"
            )

    return Contents(place=_DATA, verify=verify)


def _link_tree(source: Path, target: Path) -> None:
    """The same files at another place; they are large, so as links where the disk allows it."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copy2(path, target / path.name)
