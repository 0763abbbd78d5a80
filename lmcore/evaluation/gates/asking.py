"""Ask the gates: each one is guarded, and held to what its controls said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lmcore.evaluation.config import GateName, GatesConfig
from lmcore.evaluation.gates.result import GateResult, guarded
from lmcore.evaluation.gates.standing import ControlRecord, subject_to_controls
from lmcore.evaluation.gates.version import gate_version

#: Told whether promotion needs the gate.
Judge = Callable[[bool], GateResult]


def ask(
    judges: Mapping[GateName, Judge], *, gates: GatesConfig, record: ControlRecord
) -> list[GateResult]:
    """Every gate's answer; one that missed a control at its version cannot vote PASS.

    A gate that is required and not among those asked is INCONCLUSIVE.

    Args:
        judges: By gate, in the order of the answers.
        gates: Limits, and which gates are required.
        record: What the controls said of the gates.
    """
    results = [
        subject_to_controls(
            guarded(name, required=name in gates.required, judge=judge),
            record.standing(name, gate_version(name, gates)),
        )
        for name, judge in judges.items()
    ]
    results += [
        GateResult(
            gate=name,
            required=True,
            outcome="INCONCLUSIVE",
            reason="This task has no such gate; take it out of gates.required.",
            evidence={"code": "NOT_OF_THIS_TASK"},
        )
        for name in gates.required
        if name not in judges
    ]
    return results
