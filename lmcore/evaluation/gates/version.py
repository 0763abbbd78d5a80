"""The version of a gate: a digest of the code that decides and of the limits in force.

What decides is the gate's own module, what measures for it, and all that these import
(`lmcore.code_closure`): a result of the controls never speaks for another gate than was tried.
Comments, docstrings and layout are no part of it: two hours of trials do not lapse over a reworded
sentence.
"""

from __future__ import annotations

from lmcore.artifacts import digest
from lmcore.code_closure import closure, meanings
from lmcore.evaluation.config import GateName, GatesConfig

# A gate is the modules of its name in these rooms; evaluation may not import the second.
_ROOMS = ("lmcore.evaluation.gates", "lmcore.tasks.gates")
# What measures for a gate that is handed its evidence, and so imports nothing that makes it.
_SCORING = "lmcore.evaluation.scores.scoring"
_MEMORY = "lmcore.evaluation.memory.memorisation"
_MEASURED_BY: dict[str, tuple[str, ...]] = {
    "competence": (_SCORING, "lmcore.evaluation.baselines.baselines"),
    "champion": (_SCORING,),
    "data_sufficiency": (_SCORING,),
    "overfitting": (_MEMORY,),
    "regurgitation": (_MEMORY,),
}


def gate_modules(gate: GateName) -> tuple[str, ...]:
    """The modules that decide what a gate answers, sorted."""
    own = [f"{room}.{gate}" for room in _ROOMS]
    found = closure(*own, *_MEASURED_BY.get(gate, ()))
    assert set(own) & set(found), gate
    return found


def gate_version(gate: GateName, gates: GatesConfig) -> str:
    """Digest of the code that decides and of the limits in force.

    Args:
        gate: The gate.
        gates: All limits; the gate's own section counts.
    """
    limits = getattr(gates, gate, None)
    return digest(
        {
            "code": meanings(gate_modules(gate)),
            # Switching a gate on does not change what it says.
            "limits": None if limits is None else limits.model_dump(exclude={"enabled"}),
        }
    )
