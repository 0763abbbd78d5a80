"""What a gate said of a version, and which controls stand behind its answer.

In: an entry of a version's `gates.json`, or the part of it that a tag of the registry holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from lmcore.reporting.estimates import Estimate
from lmcore.reporting.values import finite, mapping, mappings, text, whole
from lmcore.reporting.version.facts.bias import BiasEvidence


@dataclass(frozen=True, kw_only=True)
class Control:
    """One case that a gate was tried on, and how often it answered as it must.

    Attributes:
        name: What the case is.
        kind: `negative` has a fault that must be caught; `healthy` must be let through.
        as_expected: Seeds whose answer was right.
        seeds: Seeds tried.
    """

    name: str
    kind: str
    as_expected: int
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the controls said of a gate at its version.

    Attributes:
        status: `vouched`, `missed`, or anything else where they were not run.
        version: Of the gate: its code and its limits.
        date: When they were run.
        controls: One a case.
    """

    status: str
    version: str
    date: str
    controls: tuple[Control, ...]

    @classmethod
    def from_json(cls, raw: object) -> Self | None:
        """Read the evidence's `controls`; None where it says nothing of them."""
        if not isinstance(raw, Mapping):
            return None
        cases = []
        for case in mappings(raw.get("controls")):
            right, seeds = whole(case.get("as_expected")), whole(case.get("seeds"))
            if right is not None and seeds is not None:
                name, kind = text(case.get("control")), text(case.get("kind"))
                cases.append(Control(name=name, kind=kind, as_expected=right, seeds=seeds))
        status, version, date = (text(raw.get(key)) for key in ("status", "version", "date"))
        return cls(status=status, version=version, date=date, controls=tuple(cases))


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One gate's answer.

    Attributes:
        name: Of the gate.
        required: Whether a version is kept out of use where this gate does not pass.
        outcome: PASS, FAIL, INCONCLUSIVE, WARN or SKIPPED.
        statistic: What it looked at.
        limit: What that is held against.
        reason: The answer in words.
        controls: None: not recorded.
        bias: What the gate `bias_lm` found; None of all others.
    """

    name: str
    required: bool = True
    outcome: str = "SKIPPED"
    statistic: Estimate = field(default_factory=Estimate)
    limit: float | None = None
    reason: str = ""
    controls: Standing | None = None
    bias: BiasEvidence | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        """Read one entry."""
        name = text(raw.get("gate")) or "gate"
        evidence = mapping(raw.get("evidence"))
        return cls(
            name=name,
            required=bool(raw.get("required", True)),
            outcome=text(raw.get("outcome")) or "SKIPPED",
            statistic=Estimate.from_json(raw),
            limit=finite(raw.get("limit")),
            reason=text(raw.get("reason")),
            controls=Standing.from_json(evidence.get("controls")),
            bias=BiasEvidence.from_json(evidence) if name == "bias_lm" else None,
        )


def read_gates(raw: object) -> tuple[Gate, ...]:
    """The gates of a list, in its order."""
    return tuple(Gate.from_json(entry) for entry in mappings(raw))
