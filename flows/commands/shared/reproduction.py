"""Rebuild a version from its manifest and the recorded sources, and compare the weights.

In: a registered version.  Out: whether the rebuilt weights are the same bits, and every way in
which what is here now differs from what was there then.  The sources are read again, cleaned,
masked, split as the version records it, cut into tokens and trained on by the recorded plan, all of
it in a scratch store: nothing that is cached is trusted.

Where the documents are not those of the version (one is missing, changed or was forgotten), no
model is trained: it could not be the same, and the mismatches say why.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from flows.commands.shared.changes import (
    called,
    document_changes,
    file_changes,
    first_few,
    short,
)
from flows.home.configurations import names_the_hub
from flows.home.environment import allow_hub
from flows.home.folders import Home
from flows.home.locks import BusyError
from flows.home.signals import StepInterrupted, StoppedError, interruptible, polite_signals
from flows.registry.document_matches import removed_documents
from flows.registry.models import Registry
from flows.registry.removals import current_removals
from flows.steps.base_model import base_model
from flows.steps.choose_start import start_from
from flows.steps.progress import counting, job_shown, step_shown, training_shown
from flows.steps.run_key import library_versions, lock_digest, processor_name
from flows.steps.tokenize_documents import tokenize_documents
from flows.steps.train_model import trained
from lmcore.config import RunConfig, parse_config
from lmcore.content_store import ContentStore
from lmcore.data.copies.removal import Removals
from lmcore.data.documents import DocumentSet
from lmcore.data.ingest.ingest import fingerprint_sources, ingest
from lmcore.data.ingest.split import SplitLedger, write_recorded_sides
from lmcore.data.tokens.tokenizer import TokenizerHandle
from lmcore.digests import code_digest, digest, sha256_file
from lmcore.errors import ConfigError, IntegrityError, SourceError
from lmcore.model.pretrained.base import Base
from lmcore.tasks.base_model import BaseModel
from lmcore.tasks.training import TaskPlans
from lmcore.training.events import TrainingInterrupted
from lmcore.training.plan import Plan
from lmcore.training.start import Start, from_scratch
from lmcore.version_folder import VersionFolder

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What came of an attempt.

    Attributes:
        weights: SHA-256 of the rebuilt weights; empty where nothing could be trained.
        mismatches: What differs, in sentences.
    """

    weights: str
    mismatches: list[str]


def rebuild(folder: VersionFolder, *, registry: Registry, model: str) -> Rebuilt:
    """Rebuild a version in a scratch folder of its own.

    Raises:
        StoppedError: If the user stopped it; nothing is left behind.
        BusyError: If another process reproduces the same version.
    """
    with (
        polite_signals(),
        _scratch(registry.home, folder) as scratch,
        job_shown("reproduce", registry.home, model) as shown,
    ):
        shown.expect(("verify", "ingest", "tokenize", "train"), {})
        try:
            with interruptible():
                job = _Reproduction(
                    folder,
                    registry=registry,
                    model=model,
                    scratch=scratch,
                    removals=current_removals(registry).for_model(model),
                )
                return Rebuilt(weights=job.rebuild(), mismatches=job.mismatches)
        except (StepInterrupted, TrainingInterrupted) as stop:
            raise StoppedError("stopped by the user; nothing is left behind") from stop


@contextmanager
def _scratch(home: Home, folder: VersionFolder) -> Iterator[Path]:
    """A folder of its own for the version: swept before, as one may have been killed, and after."""
    key = folder.manifest_sha256[:16]
    path = home.work / f"reproduce-{key}"
    guard = FileLock(home.locks / f"reproduce-{key}.lock", timeout=0)
    try:
        guard.acquire()
    except Timeout as error:
        raise BusyError(
            "another process reproduces this version; try again when it has finished"
        ) from error
    try:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        guard.release()


class _Reproduction:
    """One attempt.

    Attributes:
        began_with: The pretrained model that the run began with, as recorded; None: none.
        mismatches: What differs, in sentences.
    """

    def __init__(
        self,
        folder: VersionFolder,
        *,
        registry: Registry,
        model: str,
        scratch: Path,
        removals: Removals,
    ) -> None:
        self.folder = folder
        self.registry, self.model = registry, model
        self.removals = removals
        self.record = folder.lineage()
        self.began_with = (self.record.get("start") or {}).get("pretrained")
        self.mismatches: list[str] = []
        # The steps of a run, in a home of their own.
        self.home = replace(registry.home, root=scratch)
        self.store = ContentStore(self.home.content)

    def rebuild(self) -> str:
        """SHA-256 of the rebuilt weights; empty where nothing could be trained."""
        with step_shown("verify"):
            config, plans = self._config(), self._plans()
            self._environment()
            start = self._start()
            try:
                base, pretrained = self._base(), self._pretrained()
            except IntegrityError as error:
                self.mismatches.append(f"base: {error}")
                return ""
        if config is None or plans is None or start is None:
            return ""
        start = replace(start, pretrained=pretrained)
        with step_shown("ingest"):
            documents = self._documents(config)
        if documents is None:
            return ""
        with step_shown("tokenize"):
            corpus = tokenize_documents(config, documents, self.home, start, base)
            self._compare_tokenizer(corpus.tokenizer)
        with step_shown("train"):
            checkpoint = trained(
                config,
                corpus,
                self.home,
                start=start,
                base=base,
                on_event=training_shown(config.training),
                replay=plans,
            )
        return str(checkpoint.summary["weights_sha256"])

    # -- what was recorded -------------------------------------------------------------------

    def _config(self) -> RunConfig | None:
        try:
            values = yaml.safe_load(self.folder.config)
            if not isinstance(values, dict):
                raise ConfigError("no mapping")
            config = parse_config(values, where="config.yaml of the version")
            settings, base = config.fingerprint(), self.record.get("base")
            begun_with = [base["manifest"]] if base else []
            begun_with += [self.began_with["key"]] if self.began_with else []
            now = digest([settings, *begun_with]) if begun_with else settings
            self._compare("config", now, "the configuration means something else")
        except (yaml.YAMLError, ConfigError) as error:
            self.mismatches.append(f"config: cannot be read by this release ({error})")
            return None
        return config

    def _plans(self) -> TaskPlans | None:
        """The plan, and that of a stage before it where a task had one."""
        before = self.record.get("adaptation")
        try:
            return TaskPlans(
                adaptation=Plan.model_validate(before["plan"]) if before else None,
                task=Plan.model_validate(self.record.get("plan")),
            )
        except ValueError as error:
            reason = str(error).splitlines()[0]
            self.mismatches.append(f"plan: cannot be read by this release ({reason})")
            return None

    def _start(self) -> Start | None:
        """Where the training began; None where the weights that it went on from are gone."""
        recorded = self.record.get("start")
        if not isinstance(recorded, Mapping) or recorded.get("origin") != "champion":
            begun = from_scratch("as recorded")
            if isinstance(recorded, Mapping) and "tokenizer" in recorded:
                # It was fitted for an earlier version; the manifest of this one holds its hashes.
                return replace(begun, tokenizer=self.folder.path / "tokenizer")
            return begun
        weights, number = str(recorded.get("weights")), recorded.get("version")
        for version in reversed(self.registry.versions(self.model)):
            if version.weights_sha256 != weights:
                continue
            try:
                folder = self.registry.open(version)
            except IntegrityError as error:
                self.mismatches.append(f"start: {error}")
                continue
            if folder.weights_sha256 == weights:
                return start_from(folder, version=version.number, reason="as recorded")
        self.mismatches.append(
            f"start: it went on from version {number} ({short(weights)}), which is not in the"
            " registry any more"
        )
        return None

    def _base(self) -> BaseModel | None:
        """The language model that a task started from; None for one that started from none.

        Raises:
            IntegrityError: If it is gone or damaged.
        """
        recorded = self.record.get("base")
        if not recorded:
            return None
        name, manifest = str(recorded["model"]), recorded["manifest"]
        known = self.registry.versions(name) if name in self.registry.models() else ()
        for version in known:
            if version.manifest_sha256 == manifest:
                return base_model(self.registry, version)
        raise IntegrityError(
            f"it started from {name} version {recorded['version']} ({short(manifest)}), which is"
            " not in the registry any more"
        )

    def _pretrained(self) -> Base | None:
        """The model that the run began with; None for one that began with none.

        Raises:
            IntegrityError: If it, or the one that the weights need, is nowhere or damaged.
        """
        wanted = self.folder.base()
        if wanted is None:
            return None
        found = self.registry.bases.provide(wanted, whom="this version")
        return found if self.began_with else None

    def _environment(self) -> None:
        self._compare("code", code_digest("lmcore"), "lmcore itself has changed")
        self._compare("lock", lock_digest(), "other versions of libraries are locked")
        then = self.record.get("libraries")
        now = library_versions(pretrained="pretrained" in self.record)
        for name, version in sorted(now.items()):
            before = then.get(name) if isinstance(then, Mapping) else None
            if before != version:
                self.mismatches.append(f"library {name}: {before or 'unknown'} then, {version} now")
        self._compare("processor", processor_name(), "sums may end in other bits")

    def _compare(self, key: str, now: str | None, meaning: str) -> None:
        then = self.record.get(key)
        if then != now:
            self.mismatches.append(f"{key}: {short(then)} then, {short(now)} now ({meaning})")

    # -- documents ---------------------------------------------------------------------------

    def _documents(self, config: RunConfig) -> DocumentSet | None:
        """The documents of the version, prepared again; None where they are others."""
        if names_the_hub(config):
            allow_hub()
        try:
            found = fingerprint_sources(config.sources)
            if found.digest != self.record.get("sources"):
                self.mismatches += file_changes(self.folder.sources(), found) or [
                    f"the sources differ: {short(self.record.get('sources'))} then,"
                    f" {short(found.digest)} now"
                ]
            rows = list(self.folder.documents())
            write_recorded_sides(self.home.splits, rows)
            documents = ingest(
                self.store,
                sources=config.sources,
                data=config.data,
                policy=config.policy,
                ledger=SplitLedger(self.home.splits),
                removals=self.removals,
                fingerprint=found,
                progress=counting("documents"),
            )
        except SourceError as error:
            self.mismatches.append(f"sources: {error}")
            self._forgotten()
            return None
        changes = document_changes(rows, [*documents.iter_rows()], forgotten=self._forgotten())
        self.mismatches += changes.sentences
        return documents if changes.same_training_text else None

    def _forgotten(self) -> set[str]:
        """Documents of the version that must not be used any more, named."""
        ids = removed_documents(self.folder, self.removals)
        rows = [row for row in self.folder.documents() if row["id"] in ids]
        sentences = []
        for row in rows:
            removal = self.removals.by_id(row["id"])
            why = f" on {removal.at[:10]}: {removal.reason}" if removal else ", as a near-copy"
            sentences.append(f"{called(row)} was forgotten{why}")
        if not any(s in self.mismatches for s in sentences):
            self.mismatches += first_few(sentences)
        return ids

    def _compare_tokenizer(self, tokenizer: TokenizerHandle) -> None:
        for path in sorted(tokenizer.path.glob("*.json")):
            recorded = self.folder.manifest.files.get(f"tokenizer/{path.name}")
            if recorded is not None and recorded[1] != sha256_file(path):
                self.mismatches.append(f"tokenizer: {path.name} is not that of the version")
