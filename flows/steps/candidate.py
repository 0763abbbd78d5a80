"""A trained and judged model with everything that it was made from, and what it tells of itself.

In: a run, what came of its steps, and what the gates said.  Out: fingerprints, lineage, what is new
since the last version, and what report and card tell.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from flows.home.publication import lasting_tracking_uri
from flows.registry.models import Registry
from flows.registry.versions import Version
from flows.steps.run import Run
from flows.steps.run_key import library_versions, lock_digest, processor_name
from flows.steps.since_last import last_readable, since_last
from lmcore.data.tokens.corpus import Corpus
from lmcore.evaluation.gates.result import Verdict
from lmcore.evaluation.report import EvalReport
from lmcore.model.pretrained.base import Base
from lmcore.reporting.version.facts.report import ReportData
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.start import Start
from lmcore.version_folder import VersionFolder


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
    def verdict(self) -> Verdict:
        """What all gates say together."""
        return self.report.verdict()

    @cached_property
    def gates(self) -> list[dict[str, Any]]:
        """What each gate said."""
        return [gate.to_json() for gate in self.verdict.results]

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
        return ReportData(
            model=self.run.config.name,
            task=self.run.config.task,
            deciding=self.run.task.deciding.name,
            version=version,
            outcome=outcome or ("passed" if self.verdict.passed else "rejected"),
            reason=self.verdict.reason,
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
