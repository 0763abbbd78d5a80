"""What one run of the pipeline answers: the shape that `lmcore run --json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Outcome = Literal["promoted", "registered", "rejected", "skipped"]


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Outcome of a run; JSON values only, so that it can travel through Prefect.

    Attributes:
        outcome: promoted, registered, rejected or skipped.
        reason: One sentence for people.
        version: Registry version of the candidate; None when skipped.
        champion: Version that is the champion after the run.
        metrics: Name to value, lower, upper, unit, n.
        gates: One mapping a gate, in the order of evaluation.
        fingerprints: data, tokenizer, config, weights.
        seconds: Wall-clock seconds by step.
        report: Path of the version's report page; for people, not part of the JSON answer.
    """

    outcome: Outcome
    reason: str
    task: str
    model: str
    version: int | None = None
    champion: int | None = None
    mlflow_run_id: str | None = None
    prefect_flow_run_id: str | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    gates: Sequence[Mapping[str, Any]] = ()
    fingerprints: Mapping[str, str | None] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    report: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The answer of `lmcore run --json`."""
        values = asdict(self)
        del values["report"]
        return values

    @property
    def exit_code(self) -> int:
        """3 where a gate kept the candidate from promotion, else 0."""
        return 3 if self.outcome == "rejected" else 0
