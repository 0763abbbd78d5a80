"""What a person can do about a gate that did not pass: one sentence, which names the keys.

In: a gate's answer as JSON values.  Out: the next step, None where there is none to take.  The
sentences decide nothing, so no gate imports this module and its version does not depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MORE_TEXT = "give more text"
_LONGER = "train longer (training.budget_seconds, max_steps or max_epochs)"
_HELD_OUT = "hold out more text (data.validation_fraction) or give more of it, so that it can tell"

#: Whatever the gate.
_BY_CODE = {
    "TOO_SMALL_A_BUDGET": "raise gates.evaluation.budget_seconds to what the reason names",
    "NOT_OF_THIS_TASK": "take it out of gates.required",
    "NOT_FINITE": "the training diverged: lower training.learning_rate, and train again",
    "INCOMPARABLE": "look at the version in use with `lmcore show champion`; promote this one by"
    " hand with `lmcore promote --override --reason TEXT` if you answer for it",
}

_BY_GATE = {
    "instrument": {
        "FAIL": "believe no figure of this version; train it again, and report the fault if it"
        " comes back",
        "INCONCLUSIVE": _HELD_OUT,
    },
    "provenance": {
        "FAIL": "name license and origin of each source in the configuration, leave the text out,"
        " or allow it under policy",
        "INCONCLUSIVE": "name license and origin of each source in the configuration",
    },
    "competence": {
        "FAIL": f"{_LONGER}, or {_MORE_TEXT}: a simple baseline is as good so far",
        "INCONCLUSIVE": _HELD_OUT,
    },
    "champion": {
        "FAIL": f"keep the version in use; to beat it {_LONGER}, {_MORE_TEXT}, or go on from it"
        " (training.start: champion)",
        "INCONCLUSIVE": f"{_HELD_OUT}; or {_LONGER} for a clearer gain",
    },
    "overfitting": {
        "FAIL": f"{_MORE_TEXT}, train for fewer epochs, make the model smaller, or raise"
        " training.weight_decay",
        "INCONCLUSIVE": _HELD_OUT,
    },
    "contamination": {
        "FAIL": "keep copies of held-out text out of training: data.near_duplicates: true, or"
        " `lmcore forget` the documents that the report names",
        "INCONCLUSIVE": _HELD_OUT,
    },
    "regurgitation": {
        "FAIL": f"{_MORE_TEXT}, train for fewer epochs, or take repeated passages out of the text",
        "INCONCLUSIVE": f"{_MORE_TEXT}, so that more passages can be tried",
    },
    "exposure": {
        "FAIL": "train for fewer epochs or make the model smaller: it remembers what it read once",
        "INCONCLUSIVE": f"{_LONGER}, so that more of the planted texts are read",
    },
    "pii": {
        "FAIL": "set data.pii: mask, and `lmcore forget` the documents that the report names",
        "INCONCLUSIVE": _HELD_OUT,
    },
    "bias_lm": {
        "FAIL": "balance the text about the words that the report names, or give more of it",
        "INCONCLUSIVE": f"{_MORE_TEXT} with the words that the report names",
    },
    "bias_task": {
        "FAIL": "balance the examples of the groups that the report names",
        "INCONCLUSIVE": _HELD_OUT,
    },
    "data_sufficiency": {
        "FAIL": f"{_MORE_TEXT}: the curve says that it would help",
        "INCONCLUSIVE": _HELD_OUT,
    },
}


def next_step(gate: Mapping[str, Any]) -> str | None:
    """What to do about a gate's answer.

    Args:
        gate: As `GateResult.to_json` gives it; `evidence` may be missing.
    """
    outcome = gate.get("outcome")
    if outcome not in ("FAIL", "INCONCLUSIVE"):
        return None
    evidence = gate.get("evidence")
    code = evidence.get("code") if isinstance(evidence, Mapping) else None
    return _BY_CODE.get(str(code)) or _BY_GATE.get(str(gate.get("gate")), {}).get(outcome)
