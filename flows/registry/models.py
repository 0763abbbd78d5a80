"""The model registry: MLflow's, with nothing in it that was not verified.

In: a `VersionFolder`.  Out: a numbered version of a registered model whose files are exactly those,
readable by our own commands and by `mlflow.pyfunc.load_model("models:/NAME@champion")` alike.

MLflow says READY of a version whose files do not exist, moves an alias without asking what it was,
and forgets who did so.  Here a version is created last, after its stored files were verified; it is
opened only if its manifest is the registered one; and aliases are moved by
`flows.registry.promotion` alone, under a lock, with a history that is one tag for each event (never
changed once written).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from flows.home.environment import Home
from flows.home.locks import Lock, lock_for
from flows.registry.bases import Bases
from flows.registry.deletion import Deletion
from flows.registry.mlflow_files import TAG as MLFLOW_FILES
from flows.registry.records import ModelRecord, Records, Store, VersionRecord
from flows.registry.registration import Registration
from flows.registry.stored_models import StoredModels
from flows.registry.version_files import VersionFiles
from flows.registry.versions import (
    DESCRIPTION_CHARACTERS,
    Version,
    check_name,
    clean,
    describe,
    to_tag,
)
from lmcore.errors import NotFoundError, UserError
from lmcore.version_folder import VersionFolder, open_version

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ALIASES = ("champion", "previous", "challenger")
#: For people; the tags beside it are for programs.
_DESCRIPTION = """\
Versions for {task}, trained and judged by lmcore. `champion` is the version in use, `previous` the
one before it, `challenger` the newest that passed its gates; the page of each version says what the
gates said of it.

Tags `lmcore.event.*` are the history of promotions, one each, which `lmcore history` prints; edit
none of them, and move aliases with `lmcore promote` and `lmcore rollback`.
"""
_LOCK_SECONDS = 120.0


class Registry:
    """Registered models of one home, or of the MLflow server that the home points to."""

    def __init__(self, home: Home, *, lock: Lock | None = None) -> None:
        """Connect to the registry.

        Args:
            home: A prepared home.
            lock: Called with a name and seconds to wait; the default suits the home (`lock_for`).
        """
        self.home = home
        self._lock = lock or lock_for(home)
        self._store = Store(home)
        self._stored = StoredModels(self._store)
        self._files = VersionFiles(home, self._stored)
        self.bases = Bases(self._store, self._stored, lock=self.lock)
        self.deletion = Deletion(self._store, self._stored, self._files)

    @property
    def _records(self) -> Records:
        return self._store.records

    @property
    def _client(self) -> MlflowClient:
        return self._store.client

    # -- names and versions ------------------------------------------------------------------

    def models(self) -> list[str]:
        """Names of all models that pipelines made, sorted; those that they began with are none."""
        return [model.name for model in self._records.models() if not model.is_base]

    def choose_model(self, name: str | None) -> str:
        """The named model, or the only one there is.

        Raises:
            NotFoundError: If there is none, or none of this name.
            UserError: If there are several and no name was given.
        """
        known = self.models()
        if name is None:
            if len(known) > 1:
                raise UserError(
                    f"several models: {', '.join(known)}; choose one with --model NAME."
                )
            if not known:
                raise NotFoundError(
                    f"no model is registered in {self.home.place}; make one with `lmcore run`."
                )
            return known[0]
        if name not in known:
            if name in self.bases.names():
                raise UserError(
                    f"{name} is a pretrained model that others were made from, and no model of a"
                    " pipeline; `lmcore lineage VERSION` shows it with a version that names it."
                )
            listed = f"registered are {', '.join(known)}" if known else "none is registered yet"
            raise NotFoundError(f"model {name!r} does not exist; {listed}.")
        return name

    def versions(self, name: str) -> list[Version]:
        """All versions of a model, oldest first; none if the model does not exist."""
        check_name(name)
        model = self._records.model(name)
        if model is None:
            return []
        by_number = _by_number(model)
        return [describe(version, by_number) for version in self._records.versions(name)]

    def latest(self, name: str) -> Version | None:
        """The newest version of a model."""
        check_name(name)
        found, model = self._records.latest(name), self._records.model(name)
        return None if found is None or model is None else describe(found, _by_number(model))

    def version(self, name: str, which: int | str) -> Version:
        """One version, by number (`3`, `v3`) or alias (`champion`).

        Raises:
            NotFoundError: If the model, the version or the alias does not exist.
        """
        check_name(name)
        model = self._records.model(name)
        if model is None:
            raise NotFoundError(f"model {name!r} does not exist; `lmcore status` lists models.")
        if which == _ALIASES[0] and which not in model.aliases:
            raise NotFoundError(_without_champion(name, self._records.latest(name)))
        number = _number(model, which)
        found = self._records.version(name, number)
        if found is None:
            raise NotFoundError(
                f"model {name} has no version {number}; `lmcore versions` lists them."
            )
        return describe(found, _by_number(model))

    def find_by_run_key(self, name: str, run_key: str) -> Version | None:
        """The newest version that a run of this key registered."""
        found = [version for version in self.versions(name) if version.run_key == run_key]
        return found[-1] if found else None

    def open(self, version: Version, *, whole: bool = True) -> VersionFolder:
        """Verify the files of a version against its registered manifest, and those of its base.

        A base that is not in the home is fetched.

        Args:
            version: Which one.
            whole: As of `open_version`; False for who does not read what text it learnt from.

        Raises:
            IntegrityError: If they are missing or differ.
        """
        folder = self.read(version, whole=whole)
        if (wanted := folder.base()) is not None:
            self.bases.provide(wanted, whom=f"version {version.number} of {version.model}")
        return folder

    def lineage(self, version: Version) -> Mapping[str, Any]:
        """What made a version, from its registered manifest alone: no other file is looked at.

        Raises:
            IntegrityError: If the manifest is missing or another one.
        """
        return self._files.lineage(version)

    def read(self, version: Version, *, whole: bool = True) -> VersionFolder:
        """Verify the files of a version alone: for what they say, and not to use its weights.

        Args:
            version: Which one.
            whole: As of `open`.

        Raises:
            IntegrityError: If they are missing or differ.
        """
        return self._files.open(version, whole=whole)

    # -- registering -------------------------------------------------------------------------

    def register(self, name: str, folder: VersionFolder, registration: Registration) -> Version:
        """Store a version's files, verify what was stored, then create the version.

        The same run key, weights and verdict give the version that exists already, so a run that
        was killed after this step can simply ask again.

        Args:
            name: Registered model; made where it does not exist.
            folder: The verified version.
            registration: What is known of it beside its files.

        Raises:
            IntegrityError: If the files differ from the manifest before or after they are stored;
                then no version exists and no alias has moved.
        """
        check_name(name)
        folder = open_version(folder.path, manifest_sha256=folder.manifest_sha256)
        new = registration
        with self.lock(name, "register"):
            known = self.find_by_run_key(name, new.run_key)
            same = (folder.weights_sha256, new.passed, clean(new.verdict))
            if known and (known.weights_sha256, known.passed, known.verdict) == same:
                self.open(known)
                return known
            source, hashes = self._files.store(
                name, folder, run_id=new.run_id, task=new.task, example=new.example
            )
            if not self._exists(name):
                self._create_model(name, new.task)
            created = self._client.create_model_version(
                name,
                source=source,
                run_id=new.run_id,
                model_id=source.removeprefix("models:/"),
                description=clean(new.description, limit=DESCRIPTION_CHARACTERS) or None,
                tags={**new.all_tags(folder), MLFLOW_FILES: to_tag(hashes)},
            )
            number = self._only(name, source, int(created.version))
            if new.passed:
                self.set_alias(name, "challenger", number)
            return self.version(name, number)

    def _exists(self, name: str) -> bool:
        return self._records.model(name) is not None

    def _create_model(self, name: str, task: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name, description=_DESCRIPTION.format(task=task))
        except MlflowException:
            # Another machine was faster, or this is the second try of a request that arrived.
            if not self._exists(name):
                raise

    def _only(self, name: str, source: str, number: int) -> int:
        """The one version of these files, where a request that did arrive was sent twice.

        A server that ends between the transaction and its answer makes MLflow's client ask again,
        and every request makes a version of its own.
        """
        same = [version.number for version in self.versions(name) if version.source == source]
        for surplus in sorted(same)[1:]:
            self._client.delete_model_version(name, str(surplus))
        return min(same, default=number)

    # -- what promotion moves ----------------------------------------------------------------

    def lock(
        self, name: str, purpose: str = "promote", *, timeout: float = _LOCK_SECONDS
    ) -> AbstractContextManager[None]:
        """Be the only process that registers or promotes versions of a model.

        Raises:
            BusyError: If another one holds the lock for `timeout` seconds.
        """
        check_name(name)
        return self._lock(f"{purpose}-{name}", timeout)

    def aliases(self, name: str) -> dict[str, int]:
        """Alias to version number; empty if the model does not exist."""
        return self._store.aliases(name)

    def set_alias(self, name: str, alias: str, number: int | None) -> None:
        """Point an alias at a version, or remove it; only under `lock`."""
        assert alias in _ALIASES, alias
        if number is None:
            self._client.delete_registered_model_alias(name, alias)
        else:
            self._client.set_registered_model_alias(name, alias, str(number))

    def set_version_tag(self, name: str, number: int, key: str, value: str) -> None:
        """Set a tag of a version."""
        self._client.set_model_version_tag(name, str(number), key, clean(value))

    def clear_version_tag(self, name: str, number: int, key: str) -> None:
        """Remove a tag of a version."""
        self._client.delete_model_version_tag(name, str(number), key)

    def model_tags(self, name: str) -> dict[str, str]:
        """Tags of the registered model; empty if it does not exist."""
        model = self._records.model(name)
        return {} if model is None else dict(model.tags)

    def add_model_tag(self, name: str, key: str, value: str) -> None:
        """Add a tag to the registered model."""
        self._client.set_registered_model_tag(name, key, value)


def _without_champion(name: str, newest: VersionRecord | None) -> str:
    """What to do where no version was promoted, as after a first run that its gates refused."""
    if newest is None:
        return f"model {name} has no champion and no version; make one with `lmcore run`."
    return (
        f"model {name} has no champion, as no version of it is in use; name one by its number, such"
        f" as {newest.version}, or see with `lmcore report {newest.version}` what its gates said."
    )


def _by_number(model: ModelRecord) -> dict[int, list[str]]:
    by_number: dict[int, list[str]] = {}
    for alias, number in model.aliases.items():
        by_number.setdefault(number, []).append(alias)
    return by_number


def _number(model: ModelRecord, which: int | str) -> int:
    if isinstance(which, int):
        return which
    if match := re.fullmatch(r"v?(\d{1,9})", which.strip(), flags=re.ASCII):
        return int(match[1])
    if which in model.aliases:
        return model.aliases[which]
    have = ", ".join(sorted(model.aliases)) or "none"
    raise NotFoundError(
        f"model {model.name} has no alias {which!r} (it has: {have}); give a version number,"
        " or see `lmcore versions`."
    )
