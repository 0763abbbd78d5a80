"""Everything that a version consists of, put together and registered."""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from flows.home.publication import lasting_tracking_uri
from flows.home.signals import to_the_end
from flows.registry.models import Registry
from flows.registry.registered_base import version_tags
from flows.registry.registration import Registration
from flows.registry.tracking import TrackedRun
from flows.registry.versions import DESCRIPTION_CHARACTERS, Version, fact_tags
from flows.steps.run import Run
from flows.steps.run_key import library_versions, lock_digest, processor_name
from flows.steps.since_last import last_readable, next_number, since_last
from lmcore.data.tokens.corpus import Corpus
from lmcore.evaluation.report import EvalReport
from lmcore.model.pretrained.base import Base
from lmcore.reporting.version.card import render_card
from lmcore.reporting.version.facts.report import ReportData
from lmcore.reporting.version.report import render_report
from lmcore.reporting.version.summary import description_markdown
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.start import Start
from lmcore.version_assembly import VersionParts, assemble_version
from lmcore.version_folder import VersionFolder
from lmcore.version_sketches import SKETCHED_BY, sketched, sketching_code

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A trained and judged model with everything that it was made from.

    Attributes:
        run: What it was made for.
        corpus: What it learnt from.
        start: Whether the training went on from a champion, and why.
        checkpoint: Its weights.
        report: What the gates said.
        champion: Version that it was judged against.
        seconds: Of each step until now.
    """

    run: Run
    corpus: Corpus
    start: Start
    checkpoint: Checkpoint
    report: EvalReport
    champion: int | None
    seconds: Mapping[str, float]

    @cached_property
    def pretrained(self) -> Base | None:
        """The model that its weights mean nothing without; None: they are whole.

        Raises:
            IntegrityError: If it is missing or damaged.
        """
        return self.run.made_from(self.checkpoint.path / "best")

    @property
    def fingerprints(self) -> dict[str, str | None]:
        """data, tokenizer, config and weights, as in the answer of a run."""
        return {
            "data": self.run.key.data,
            "tokenizer": self.corpus.tokenizer.key,
            "config": self.run.key.config,
            "weights": self.checkpoint.summary["weights_sha256"],
        }

    def lineage(self) -> dict[str, Any]:
        """What made the version, in digests: enough to find or to rebuild each part."""
        return {
            "model": self.run.config.name,
            "task": self.run.config.task,
            "run_key": self.run.key.digest,
            "data": self.run.key.data,
            "config": self.run.key.config,
            "code": self.run.key.code,
            "libraries": library_versions(pretrained=self.pretrained is not None),
            "lock": lock_digest(),
            "processor": processor_name(),
            "sources": self.run.sources.digest,
            "removals": [removal.id for removal in self.run.removals.entries],
            "documents": self.corpus.documents.key,
            "tokenizer": self.corpus.tokenizer.key,
            "shards": self.corpus.shards.key,
            "checkpoint": self.checkpoint.key,
            "evaluation": self.report.key,
            "start": self.start.to_json(),
            "plan": self.checkpoint.plan().model_dump(mode="json"),
            "evaluation_plan": self.report.plan().model_dump(mode="json"),
            **({"pretrained": self.pretrained.lineage()} if self.pretrained else {}),
            **self._lineage_of_task(),
        }

    def _lineage_of_task(self) -> dict[str, Any]:
        if self.run.task.is_language_model:
            return {}
        return {
            "base": self.run.base.to_json() if self.run.base else None,
            "adaptation": self.checkpoint.summary.get("adaptation"),
        }

    def _facts_of_pretrained(self) -> dict[str, Any]:
        if self.pretrained is None:
            return {}
        record = self.pretrained.record()
        return {
            **self.pretrained.lineage(),
            "architecture": record.architecture,
            "parameters": record.parameters,
        }

    @cached_property
    def gates(self) -> list[dict[str, Any]]:
        """What each gate said."""
        return [gate.to_json() for gate in self.report.verdict().results]

    @cached_property
    def last(self) -> tuple[Version, VersionFolder] | None:
        """The version before it, and its files."""
        return last_readable(Registry(self.run.home), self.run.config.name)

    @cached_property
    def changes(self) -> dict[str, Any]:
        """What is new since the last version; empty where there is none."""
        return since_last(
            self.last,
            documents=self.corpus.documents.summary,
            ids=frozenset(str(row["id"]) for row in self.corpus.documents.iter_rows()),
            config_yaml=self.run.config.to_yaml(),
            code=self.run.key.code,
            metrics=self.report.metrics(),
            samples=self.report.samples(),
        )

    def report_data(self, *, version: int | None = None, outcome: str | None = None) -> ReportData:
        """What the report page and the card tell.

        Both are stored inside the version, before it has a number or is promoted; what is shown
        elsewhere may say more.
        """
        verdict = self.report.verdict()
        return ReportData(
            model=self.run.config.name,
            task=self.run.config.task,
            deciding=self.run.task.deciding.name,
            version=version,
            outcome=outcome or ("passed" if verdict.passed else "rejected"),
            reason=verdict.reason,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            metrics=self.report.metrics(),
            champion=self.champion,
            gates=self.gates,
            budget=self.report.plan().sentence(),
            curve=self.checkpoint.log(),
            best_step=self.checkpoint.summary["best_step"],
            documents=self.corpus.documents.summary,
            account={**self.corpus.documents.account(), **self.report.account()},
            sources=self.corpus.documents.sources(),
            samples=self.report.samples(),
            changes=self.changes,
            tables=self.report.tables(),
            attention=self.report.attention(),
            base=self.run.base.designation if self.run.base else None,
            pretrained=self._facts_of_pretrained(),
            seconds=self.seconds,
            fingerprints={
                **self.fingerprints,
                "code": self.run.key.code,
                "libraries": self.run.key.libraries,
            },
            config_yaml=self.run.config.to_yaml(),
            plan={
                "start": self.start.reason,
                **({"tokenizer": self.start.kept.reason} if self.start.kept else {}),
                **self.checkpoint.plan().model_dump(mode="json"),
            },
            environment={
                "system": platform.platform(terse=True),
                "processor": platform.machine(),
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                **library_versions(),
            },
            tracking_uri=lasting_tracking_uri(self.run.home),
        )


def _canaries(corpus: Corpus) -> dict[str, Any] | None:
    """What the model was trained with and must never emit."""
    found = corpus.shards.canaries()
    return found.to_json() if found and found.forbidden else None


def register_version(
    candidate: Candidate, *, tracked: TrackedRun, flow_run_id: str | None
) -> Version:
    """Write report and card, assemble the version folder, and register it with its verdict.

    A stop leaves what is written aside, which takes minutes for much text; what is written into the
    registry ends first.

    Args:
        candidate: To become a version.
        tracked: The MLflow run that it belongs to.
        flow_run_id: Prefect flow run.
    """
    registry = Registry(candidate.run.home)
    number = next_number(registry, candidate.run.config.name)
    data = candidate.report_data(version=number)
    page = render_report(data)
    folder = _assembled(candidate, page=page, card=render_card(data))
    description = description_markdown(data, most_characters=DESCRIPTION_CHARACTERS)
    with to_the_end("registering the version"):
        tracked.log_text(page, "report.html")
        tracked.log_text(json.dumps(candidate.gates, indent=1), "gates.json")
        tracked.log_text(candidate.run.config.to_yaml(), "config.yaml")
        base_tags = {}
        if candidate.pretrained is not None:
            # Before the version, which means nothing without it.
            base_tags = version_tags(registry.bases.register(candidate.pretrained))
        version = registry.register(
            candidate.run.config.name,
            folder,
            _registration(
                candidate,
                run_id=tracked.run_id,
                flow_run_id=flow_run_id,
                description=description,
                base_tags=base_tags,
            ),
        )
        # The registry has its own copy, and verified it.
        shutil.rmtree(folder.path, ignore_errors=True)
    logger.info("register: version %d of %s", version.number, version.model)
    if version.number != number:
        logger.warning(
            "register: the report inside version %d calls it version %d, as another was registered"
            " meanwhile",
            version.number,
            number,
        )
    return version


def _assembled(candidate: Candidate, *, page: str, card: str) -> VersionFolder:
    """The version as a folder of its own."""
    run, documents = candidate.run, candidate.corpus.documents
    return assemble_version(
        run.home.work / f"version-{run.key.digest[:32]}",
        VersionParts(
            best=candidate.checkpoint.path / "best",
            tokenizer=candidate.corpus.tokenizer.path,
            evaluation=candidate.report.path,
            documents=documents.iter_rows(),
            sources=documents.sources(),
            config=run.config.to_yaml(),
            report=page,
            card=card,
            lineage=candidate.lineage(),
            canaries=_canaries(candidate.corpus),
            sketches=sketched(
                documents.iter_documents(), candidate.last[1] if candidate.last else None
            ),
            summary={
                "model": run.config.name,
                "verdict": candidate.report.verdict().reason,
                SKETCHED_BY: sketching_code(),
            },
        ),
    )


def _registration(
    candidate: Candidate,
    *,
    run_id: str,
    flow_run_id: str | None,
    description: str,
    base_tags: Mapping[str, str],
) -> Registration:
    """What the registry is told beside the files."""
    run, verdict = candidate.run, candidate.report.verdict()
    return Registration(
        run_id=run_id,
        run_key=run.key.digest,
        passed=verdict.passed,
        verdict=verdict.reason,
        metrics=candidate.report.metrics(),
        fingerprints=candidate.fingerprints,
        flow_run_id=flow_run_id,
        description=description,
        tags={
            **fact_tags(candidate.gates, candidate.corpus.documents.summary),
            "task": run.config.task,
            "run_base": run.key.base,
            "start_weights": candidate.start.weights_sha256 or "",
            **({"base": run.base.designation} if run.base else {}),
            **base_tags,
        },
        task=run.config.task,
        example=run.task.example,
    )
