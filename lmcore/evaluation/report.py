"""What an evaluation leaves behind, and how the rest of the project reads it.

scores-validation.parquet   the model on validation
scores-train.parquet        the model on text that it was trained on
scores-final.parquet        the last weights on validation, where they are not the best ones
scores-champion.parquet     the champion on the same documents, where there is one
scores-kn5.parquet ...      the byte n-grams
gates.json  metrics.json  samples.json  plan.json
tables.json  ledger.json  attention.json  predictions.parquet   of tasks, in place of scores
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lmcore.content_store import Handle
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.budget.plan import PLAN_FILE, EvaluationPlan
from lmcore.evaluation.gates.result import GateResult, Verdict
from lmcore.evaluation.scores.table import ScoreTable

GATES_FILE = "gates.json"
METRICS_FILE = "metrics.json"
ATTENTION_FILE = "attention.json"
SAMPLES_FILE = "samples.json"
TABLES_FILE = "tables.json"
ACCOUNT_FILE = "ledger.json"


class EvalReport(Handle):
    """A finished evaluation.

    Summary: passed, outcome (of the required gates together), reason, gates (outcome by
    name), metrics (value by name), evaluation_hash, documents (scored), seconds by part.
    """

    kind: ClassVar[str] = "evaluation"

    def verdict(self) -> Verdict:
        """All gates' answers."""
        return Verdict(results=[GateResult.from_json(raw) for raw in self._read(GATES_FILE)])

    def metrics(self) -> dict[str, dict[str, Any]]:
        """Contract name to value, lower, upper, unit and n."""
        found: dict[str, dict[str, Any]] = self._read(METRICS_FILE)
        return found

    def samples(self) -> list[dict[str, Any]]:
        """Prompt, text, seed and temperature of each sample."""
        found: list[dict[str, Any]] = self._read(SAMPLES_FILE)
        return found

    def plan(self) -> EvaluationPlan:
        """How much was asked of the models; evaluations from before there was one: all."""
        raw = self._read(PLAN_FILE, {})
        return EvaluationPlan.model_validate(raw)

    def tables(self) -> list[dict[str, Any]]:
        """Tables of a task for its report: caption, header, rows, note; none for others."""
        found: list[dict[str, Any]] = self._read(TABLES_FILE, [])
        return found

    def attention(self) -> list[dict[str, Any]]:
        """Which words a few answers of a task looked at; nothing for others."""
        found: list[dict[str, Any]] = self._read(ATTENTION_FILE, [])
        return found

    def account(self) -> dict[str, Any]:
        """What a task did to its data: classes, lengths, what was cut; nothing for others."""
        found: dict[str, Any] = self._read(ACCOUNT_FILE, {})
        return found

    def scores(self, name: str) -> ScoreTable:
        """One table: validation, train, final, champion, kn5, kn6 or kn8."""
        return ScoreTable.from_parquet(self.path / f"scores-{name}.parquet")

    def has_scores(self, name: str) -> bool:
        """Whether this evaluation has such a table."""
        return (self.path / f"scores-{name}.parquet").exists()

    def _read(self, name: str, default: Any = None) -> Any:
        if default is not None and not (self.path / name).exists():
            return default
        return json.loads((self.path / name).read_text(encoding="utf-8"))


def write_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """JSON for people and programs: indented, no NaN.

    Raises:
        EmptyEvaluationError: If a number is not finite.
    """
    try:
        return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise EmptyEvaluationError(f"a result is not finite ({error})") from error
