"""The verdict as a reader meets it: the outcome in a sentence, the gates, the key figures.

In: `ReportData`.  Out: texts, and each gate's interval placed against its limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from lmcore.counted import counted
from lmcore.reporting.charts import IntervalMark, axis
from lmcore.reporting.text import duration, number, one_line, words
from lmcore.reporting.version.facts.gates import Gate
from lmcore.reporting.version.facts.report import ReportData
from lmcore.reporting.version.measures import label

_PASSED = "PASS"
_OPENINGS = {
    "passed": "Passed: it may become the champion; `lmcore history` tells whether and when it did.",
    "promoted": "Promoted: this version is now the champion.",
    "registered": "Registered: every required gate passed; automatic promotion is switched off.",
    "rejected": "Rejected: it is kept with its evidence, and it is not in use.",
    "skipped": "Skipped: nothing new to train on, so no version was made.",
}


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One number that matters; the note has its unit and its interval."""

    label: str
    value: str
    note: str

    @classmethod
    def of(cls, label: str, value: str, *notes: str) -> Self:
        """What is empty, or said by the label, is no note."""
        parts = [note for note in notes if note not in ("", label)]
        return cls(label=label, value=value, note=" · ".join(parts))


@dataclass(frozen=True, kw_only=True)
class GateRow:
    """One gate: what it said, and the statistic behind it as text and as a picture."""

    gate: str
    required: bool
    outcome: str
    value: str
    interval: str
    limit: str
    unit: str
    reason: str
    mark: IntervalMark | None


def outcome_sentence(data: ReportData) -> str:
    """The outcome and its reason as plain sentences."""
    opening = _OPENINGS[data.outcome]
    reason = one_line(data.reason, 1_000)
    if not reason:
        return opening
    return f"{opening} {reason[0].upper()}{reason[1:]}" + ("" if reason[-1] in ".!?" else ".")


def gate_count(data: ReportData) -> str:
    """How many of the required gates said what."""
    required = [one_line(gate.outcome) for gate in data.gates if gate.required]
    if not required:
        return ""
    passed = required.count(_PASSED)
    others = [outcome.lower() for outcome in required if outcome != _PASSED]
    parts = [f"{others.count(other)} {other}" for other in dict.fromkeys(others)]
    tail = f" ({', '.join(parts)})" if parts else ""
    return f"{passed} of {len(required)} required gates passed{tail}"


def gate_row(gate: Gate) -> GateRow:
    """A gate's result as text, with its interval placed against its limit."""
    return GateRow(
        gate=words(gate.name),
        required=gate.required,
        outcome=one_line(gate.outcome, 40),
        value=gate.shown if gate.value is not None else "",
        interval=gate.bounds,
        limit=_limit(gate),
        unit=gate.shown_unit,
        reason=one_line(gate.reason, 1_000),
        mark=_mark(gate),
    )


def parted(gates: Sequence[GateRow]) -> tuple[list[GateRow], list[GateRow]]:
    """Gates that a reader must see, and those that decide nothing and found nothing."""
    shown = [row for row in gates if row.required or row.outcome in ("FAIL", "INCONCLUSIVE")]
    return shown, [row for row in gates if row not in shown]


def _limit(gate: Gate) -> str:
    return number(gate.limit, unit=gate.unit) if gate.limit is not None else ""


def _mark(gate: Gate) -> IntervalMark | None:
    limit = gate.limit
    if gate.value is None or not (limit is not None or gate.width):
        return None
    known = [*gate.known, *(() if limit is None else (limit,))]
    parts = [
        f"{gate.shown} {gate.shown_unit}".strip(),
        f"interval {gate.bounds}" if gate.bounds else "",
        f"limit {_limit(gate)}" if limit is not None else "",
    ]
    return IntervalMark.of(
        gate,
        axis(known, padding=0.15),
        limit=limit,
        allowed=_allowed(gate.value, limit, gate.outcome),
        summary=", ".join(part for part in parts if part),
    )


def _allowed(value: float, limit: float | None, outcome: str) -> str | None:
    # The contract's shape does not name a direction; a clear verdict gives it away.
    if limit is None or value == limit or outcome not in (_PASSED, "FAIL"):
        return None
    return "below" if (value < limit) == (outcome == _PASSED) else "above"


def tiles(data: ReportData) -> list[Tile]:
    """The handful of numbers to read first, the metric that decides before all others."""
    found: list[Tile] = []
    if result := data.metrics.get(data.deciding):
        count = counted(int(result.n), "document") if result.n is not None else ""
        name = label(data.deciding)
        found.append(Tile.of(name, result.shown, result.shown_unit, result.bounds, count))
    gates = {gate.name: gate for gate in data.gates}
    for name, title in (
        ("competence", "Against the baseline"),
        ("champion", "Against the champion"),
        ("overfitting", "Overfitting"),
    ):
        gate = gates.get(name)
        if gate and gate.value is not None:
            row = gate_row(gate)
            sign = "+" if name != "overfitting" and gate.value > 0 else ""
            limit = f"limit {row.limit}" if row.limit else ""
            found.append(Tile.of(title, sign + row.value, row.unit, row.interval, limit))
    if params := data.metrics.get("params"):
        found.append(Tile.of(label("params"), params.shown, _speed(data)))
    if data.total_seconds:
        train = data.seconds.get("train")
        note = f"{duration(train)} of it training" if train is not None else ""
        found.append(Tile.of("Wall clock", duration(data.total_seconds), note))
    return found


def _speed(data: ReportData) -> str:
    speed = data.metrics.get("train_tokens_per_second")
    if speed is None or speed.value is None:
        return ""
    return f"trained at {number(speed.value, unit='tokens/s')} tokens/s"
