"""What the registry is told of a new version, and how that is written as tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flows.registry.versions import RUN_KEY_TAG, clean, to_tag
from lmcore.tasks.task import LANGUAGE_MODELLING
from lmcore.version_folder import VersionFolder


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What is known of a version beside its files.

    Attributes:
        run_id: MLflow run that made it.
        run_key: Digest of what the run depended on.
        passed: Whether every required gate said PASS; nothing else is ever promoted without
            a person's override.
        verdict: One sentence about the gates.
        metrics: Name to value, lower, upper, unit, n.
        fingerprints: data, tokenizer, config, weights.
        task: What it is a model for; decides the signature.
        example: Input that MLflow shows and tries.
        flow_run_id: Prefect flow run.
        description: Shown by MLflow.
        tags: Further tags.
    """

    run_id: str
    run_key: str
    passed: bool
    verdict: str
    metrics: Mapping[str, Any]
    fingerprints: Mapping[str, str | None]
    task: str = LANGUAGE_MODELLING.name
    example: str = LANGUAGE_MODELLING.example
    flow_run_id: str | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def all_tags(self, folder: VersionFolder) -> dict[str, str]:
        """Tags of a version with these files; `versions.describe` reads them again."""
        tags = {
            **self.tags,
            RUN_KEY_TAG: self.run_key,
            "outcome": "registered" if self.passed else "rejected",
            "passed": "true" if self.passed else "false",
            "verdict": clean(self.verdict),
            "metrics": to_tag(self.metrics),
            "fingerprints": to_tag(self.fingerprints),
            "weights_sha256": folder.weights_sha256,
            "manifest_sha256": folder.manifest_sha256,
            "prefect_flow_run_id": self.flow_run_id or "",
        }
        return {key: value for key, value in tags.items() if value}
