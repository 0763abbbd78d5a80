"""Delete versions that nobody needs any more, and what only they needed.

In: how many of the newest versions to keep.  Out: what was deleted, or would be, in bytes.

    history note -> version -> its files -> its run -> bases, content folders, work, strays,
    damaged, what homes share

Kept are the newest versions, every version with an alias (champion, previous, challenger), the one
that a rollback would go to, and the one whose weights a kept version went on from.  A version is
deleted under the locks that register and promote it, after its aliases were read again: MLflow
drops an alias with its version without a word.  The note in the history is written first and keeps
the hash of the weights, so that weights that were taken out of use stay so.  A kill leaves files
that no version names: the next call finds them.  A pretrained model is kept as long as a kept
version was made from it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any

from flows.home.folders import Home
from flows.home.locks import owning_content
from flows.progress.job import current as current_job
from flows.registry.alias_moves import settle_locked
from flows.registry.history import Event, read_history, write_event
from flows.registry.models import Registry
from flows.registry.promotion import earlier_champions, me
from flows.registry.registered_base import PRETRAINED_KEY_TAG
from flows.registry.runs import RunFacts, list_runs, remove_run
from flows.registry.shared_files import Links
from flows.registry.versions import Version
from flows.retention.left_over import is_old, left_over
from flows.retention.reasons import lineage_keys, reasons_to_keep
from flows.retention.shared_left_over import shared_left_over
from lmcore.errors import IntegrityError
from lmcore.tasks.task import task_named

logger = logging.getLogger(__name__)

#: What can go, in the order of the answer.
KINDS = ("versions", "models", "runs", "bases", "content", "work", "damaged", "shared")


def prune_registry(
    registry: Registry,
    model: str | None,
    *,
    keep: int | None,
    content_days: int | None = 0,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Delete what is not needed; with `dry_run`, only say what would be deleted.

    Args:
        registry: And its home.
        model: Registered model; None: all of them.
        keep: So many of the newest versions of each are kept; None: all of them, with all that
            MLflow holds.
        content_days: Content folders, work and what was found damaged are kept for so many days;
            None: for ever. The same goes for what homes share, which is kept longer
            (`flows.retention.shared_left_over`).
        dry_run: Change nothing.

    Raises:
        NotFoundError: If there is no such model.
        BusyError: If a run, a sweep or a monitoring is in progress.
    """
    names = [registry.choose_model(model)] if model is not None else registry.models()
    with owning_content(registry.home.locks):
        job = _Prune(registry, keep=keep or 0, dry_run=dry_run)
        for name in names if keep is not None else ():
            job.versions(name)
        wanted = job.wanted()
        if keep is not None:
            job.bases(wanted)
        if content_days is not None:
            files = left_over(registry.home, wanted, days=content_days, dry_run=dry_run)
            for kind, row in files:
                job.found[kind].append(row)
            job.found["shared"] += shared_left_over(
                registry.home, wanted, days=content_days, dry_run=dry_run
            )
    return {
        "keep": keep,
        "dry_run": dry_run,
        "kept": job.kept,
        **job.found,
        "bytes": sum(int(row["bytes"]) for rows in job.found.values() for row in rows),
    }


class _Prune:
    """One call.

    Attributes:
        kept: Versions that stay, and why.
        found: What goes, or would go, by its kind; JSON values.
        gone: Of each model: numbers that go, or would go.
    """

    def __init__(self, registry: Registry, *, keep: int, dry_run: bool) -> None:
        self.registry = registry
        self.home: Home = registry.home
        self.keep, self.dry_run = keep, dry_run
        # Also tells where each of them lies, before one after the other is looked at.
        self._stored = registry.deletion.stored()
        self._leaving = Links()
        self._known: dict[str, list[Version]] = {}
        self._run_facts: dict[str, list[RunFacts]] = {}
        self.kept: list[dict[str, Any]] = []
        self.found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        self.gone: dict[str, set[int]] = {}

    # -- versions ------------------------------------------------------------------------------

    def versions(self, name: str) -> None:
        """One model: its versions, their runs, and models and runs that no version names."""
        registry = self.registry
        with registry.lock(name, "register"), registry.lock(name):
            if not self.dry_run:
                settle_locked(registry, name, None)
            if not self.dry_run:  # what was asked for before the lock may have changed
                self._known.pop(name, None)
            versions = self._versions(name)
            reasons = self._reasons(name, versions)
            self.kept += [
                {"model": name, "version": number, "reasons": why}
                for number, why in reasons.items()
            ]
            self.gone[name] = set()
            for version in versions:
                if version.number not in reasons:
                    current_job().count(f"{name} version {version.number}")
                    self._remove(version)
            self._strays(name)
            self._runs(name, [v for v in versions if v.number not in self.gone[name]])

    def _reasons(self, name: str, versions: Sequence[Version]) -> dict[int, list[str]]:
        aliases = self.registry.aliases(name)
        champion = aliases.get("champion", -1)
        earlier = earlier_champions(self.registry, name, champion, versions)
        by_number = {version.number: version for version in versions}
        good = next((number for number in earlier if self._opens(by_number[number])), None)
        starts = {v.number: start for v in versions if (start := v.tags.get("start_weights"))}
        return reasons_to_keep(
            versions,
            keep=self.keep,
            aliases=aliases,
            rollback_to=good,
            starts=starts,
            bases=self._bases(name),
        )

    def _versions(self, name: str) -> list[Version]:
        """All versions of a model, as they were when they were asked for first."""
        if name not in self._known:
            self._known[name] = self.registry.versions(name)
        return self._known[name]

    def _runs_of(self, name: str) -> list[RunFacts]:
        """All runs of a model, as they were when they were asked for first."""
        if name not in self._run_facts:
            self._run_facts[name] = (
                self._runs_at_first.get(name, [])
                if self.dry_run
                else list_runs(self.home, model=name)
            )
        return self._run_facts[name]

    @cached_property
    def _runs_at_first(self) -> dict[str, list[RunFacts]]:
        """Of all models; what deletes asks again under each one's lock."""
        found: dict[str, list[RunFacts]] = {}
        for run in list_runs(self.home, model=None):
            found.setdefault(run.model, []).append(run)
        return found

    @cached_property
    def _begun_with(self) -> list[tuple[Version, str, int]]:
        """Versions of tasks, with the model and the version that each began with."""
        found = []
        for other in self.registry.models():
            for version in self._versions(other):
                if task_named(version.task).is_language_model:
                    continue
                with contextlib.suppress(IntegrityError):
                    base = self.registry.lineage(version).get("base") or {}
                    if base:
                        found.append((version, str(base["model"]), int(base["version"])))
        return found

    @cached_property
    def _named_sources(self) -> set[str]:
        return self.registry.deletion.named_sources()

    def _bases(self, name: str) -> dict[int, str]:
        """Versions of a model that versions of other models, which are not deleted, began with."""
        return {
            number: f"version {version.number} of {version.model}"
            for version, model, number in self._begun_with
            if model == name and version.number not in self.gone.get(version.model, ())
        }

    def _opens(self, version: Version) -> bool:
        try:
            self.registry.open(version, whole=False)
        except IntegrityError:
            return False
        return True

    def _remove(self, version: Version) -> None:
        name, number = version.model, version.number
        if self.dry_run:
            size = self.registry.deletion.num_bytes(version, self._leaving)
        else:
            size = self.registry.deletion.num_bytes(version)
            # Aliases are moved by hand too, and nobody's lock holds MLflow's own page.
            if number in self.registry.aliases(name).values():
                logger.warning("version %d of %s was given an alias; it stays", number, name)
                return
            self._note(version)
            self.registry.deletion.remove(version)
        self.gone[name].add(number)
        self.found["versions"].append(
            {
                "model": name,
                "version": number,
                "outcome": version.outcome,
                "quarantined": version.quarantined,
                "weights": version.weights_sha256,
                "bytes": size,
            }
        )

    def _note(self, version: Version) -> None:
        """Write into the history what goes, once."""
        events = read_history(self.registry, version.model).events
        if any(e.action == "prune" and e.to_version == version.number for e in events):
            return  # a call that was killed in between
        write_event(
            self.registry,
            Event(
                action="prune",
                model=version.model,
                from_version=None,
                to_version=version.number,
                who=me(),
                reason=f"not needed any more: not among the newest ({self.keep}), nor in use",
                verdict=version.verdict,
                weights=version.weights_sha256,
                quarantined=version.quarantined,
            ),
        )

    # -- MLflow ---------------------------------------------------------------------------------

    def _strays(self, name: str) -> None:
        """Models that were stored and never became a version, or whose version is gone."""
        stored = self._stored.get(name, []) if self.dry_run else None
        for stray in self.registry.deletion.stray_models(name, self._named_sources, stored):
            if not self.dry_run:
                self.registry.deletion.remove_model(stray.id)
            self.found["models"].append({"model": name, "id": stray.id, "bytes": stray.num_bytes})

    def _runs(self, name: str, kept: Sequence[Version]) -> None:
        """Runs of versions that are gone, and runs that nobody will go on with."""
        used = {version.run_id for version in kept}
        for run in self._runs_of(name):
            if run.id in used or _may_go_on(run):
                continue
            size = run.num_bytes
            if not self.dry_run:
                remove_run(self.home, run.id)
            self.found["runs"].append(
                {"model": name, "id": run.id, "status": run.status, "bytes": size}
            )

    # -- files ----------------------------------------------------------------------------------

    def bases(self, wanted: AbstractSet[str]) -> None:
        """Pretrained models that no kept version, of whatever model, was made from."""
        bases = self.registry.bases
        for base in bases.all():
            if base.key in wanted or bases.may_be_awaited(base):
                continue
            row = {"model": base.model, "version": base.number, "key": base.key}
            self.found["bases"].append({**row, "bytes": bases.num_bytes(base)})
            if not self.dry_run:
                bases.remove(base)
        for name in bases.names():
            self._strays(name)

    def wanted(self) -> set[str]:
        """Keys that kept versions of every model, and unfinished runs, name."""
        wanted: set[str] = set()
        for name in self.registry.models():
            for version in self._versions(name):
                if version.number not in self.gone.get(name, ()):
                    wanted |= self._keys(version)
            for run in self._runs_of(name):
                wanted |= set(run.content) if _may_go_on(run) else set()
        return wanted

    def _keys(self, version: Version) -> set[str]:
        # The tag, for a version whose files are damaged and may be restored.
        keys = {key for tag, key in version.tags.items() if tag == PRETRAINED_KEY_TAG}
        try:
            keys |= lineage_keys(self.registry.lineage(version))
        except IntegrityError as error:
            logger.warning("version %d of %s: %s", version.number, version.model, error)
        return keys


def _may_go_on(run: RunFacts) -> bool:
    """Whether somebody may still give the same command, and the run goes on."""
    return not run.finished and not is_old(run.started)
