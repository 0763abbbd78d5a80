"""The verdict as a reader meets it: the outcome in a sentence, the gates, the key figures.

In: `ReportData`.  Out: texts, and each gate's interval placed against its limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmcore.reporting.charts import IntervalMark, axis
from lmcore.reporting.text import SHARE, duration, finite, interval, number, one_line, words
from lmcore.reporting.version.facts import ReportData
from lmcore.reporting.version.measures import headline, metric_row

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
    required = [str(gate.get("outcome")) for gate in data.gates if gate.get("required", True)]
    if not required:
        return ""
    passed = required.count(_PASSED)
    others = [one_line(outcome).lower() for outcome in required if outcome != _PASSED]
    parts = [f"{others.count(other)} {other}" for other in dict.fromkeys(others)]
    tail = f" ({', '.join(parts)})" if parts else ""
    return f"{passed} of {len(required)} required gates passed{tail}"


def gate_row(gate: Mapping[str, Any]) -> GateRow:
    """A gate's result as text, with its interval placed against its limit."""
    unit = str(gate.get("unit") or "")
    value, lower, upper, limit = (finite(gate.get(k)) for k in ("value", "lower", "upper", "limit"))
    width = upper - lower if lower is not None and upper is not None else None
    outcome = one_line(gate.get("outcome") or "SKIPPED", 40)
    row = GateRow(
        gate=words(gate.get("gate") or "gate"),
        required=bool(gate.get("required", True)),
        outcome=outcome,
        value=number(value, unit=unit, width=width) if value is not None else "",
        interval=interval(lower, upper, unit=unit),
        limit=number(limit, unit=unit) if limit is not None else "",
        unit="" if unit == SHARE else one_line(unit, 60),
        reason=one_line(gate.get("reason") or "", 1_000),
        mark=None,
    )
    known = [v for v in (value, lower, upper, limit) if v is not None]
    if value is None or not (limit is not None or width):
        return row
    scale = axis(known, padding=0.15)
    summary = ", ".join(
        part
        for part in (
            f"{row.value} {row.unit}".strip(),
            f"interval {row.interval}" if row.interval else "",
            f"limit {row.limit}" if row.limit else "",
        )
        if part
    )
    mark = IntervalMark(
        value=scale.at(value),
        lower=None if lower is None else scale.at(lower),
        upper=None if upper is None else scale.at(upper),
        limit=None if limit is None else scale.at(limit),
        allowed=_allowed(value, limit, outcome),
        summary=summary,
    )
    return GateRow(**{**row.__dict__, "mark": mark})


def _allowed(value: float, limit: float | None, outcome: str) -> str | None:
    # The contract's shape does not name a direction; a clear verdict gives it away.
    if limit is None or value == limit or outcome not in (_PASSED, "FAIL"):
        return None
    return "below" if (value < limit) == (outcome == _PASSED) else "above"


def tiles(data: ReportData) -> list[Tile]:
    """The handful of numbers to read first."""
    found: list[Tile] = []
    main = headline(data)
    if main:
        count = f"{main.n} documents" if main.n else ""
        found.append(_tile(main.label, main.value, main.unit, main.interval, count))
    gates = {str(gate.get("gate")): gate for gate in data.gates}
    for name, title in (
        ("competence", "Against the baseline"),
        ("champion", "Against the champion"),
        ("overfitting", "Overfitting"),
    ):
        gate = gates.get(name)
        if gate and (value := finite(gate.get("value"))) is not None:
            row = gate_row(gate)
            sign = "+" if name != "overfitting" and value > 0 else ""
            limit = f"limit {row.limit}" if row.limit else ""
            found.append(_tile(title, sign + row.value, row.unit, row.interval, limit))
    if params := data.metrics.get("params"):
        size = metric_row("params", params)
        found.append(_tile(size.label, size.value, _speed(data)))
    total = data.seconds.get("total", sum(v for v in map(finite, data.seconds.values()) if v))
    if total:
        train = data.seconds.get("train")
        note = f"{duration(train)} of it training" if train is not None else ""
        found.append(_tile("Wall clock", duration(total), note))
    return found


def _tile(title: str, value: str, *notes: str) -> Tile:
    return Tile(label=title, value=value, note=" · ".join(note for note in notes if note))


def _speed(data: ReportData) -> str:
    speed = data.metrics.get("train_tokens_per_second")
    if not speed or finite(speed.get("value")) is None:
        return ""
    return f"trained at {number(speed['value'], unit='tokens/s')} tokens/s"
