"""The version of a gate: a digest of the code that decides and of the limits in force.

What decides is the gate's own module, the one that measures tasks for it, and all that these
import (`lmcore.code_closure`): a result of the controls never speaks for another gate than was
tried.  Comments, docstrings and layout are no part of it: two hours of trials do not lapse over a
reworded sentence.
"""

from __future__ import annotations

from lmcore.code_closure import closure, meanings
from lmcore.digests import digest
from lmcore.evaluation.config import GateName, GatesConfig

# A gate is the modules of its name in these rooms; evaluation may not import the second.
_OF_TASKS = "lmcore.tasks.gates"
_ROOMS = ("lmcore.evaluation.gates", _OF_TASKS)


def gate_modules(gate: GateName) -> tuple[str, ...]:
    """The modules that decide what a gate answers, sorted."""
    own = [f"{room}.{gate}" for room in _ROOMS]
    found = closure(*own)
    assert set(own) & set(found), gate
    return found


def gate_version(gate: GateName, gates: GatesConfig) -> str:
    """Digest of the code that decides and of the limits in force.

    Args:
        gate: The gate.
        gates: All limits; the gate's own section counts, and that of tasks where it judges them.
    """
    modules = gate_modules(gate)
    sections = [gate, *(["tasks"] if f"{_OF_TASKS}.{gate}" in modules else [])]
    found = {name: getattr(gates, name, None) for name in sections}
    return digest(
        {
            "code": meanings(modules),
            # Switching a gate on does not change what it says.
            "limits": {
                name: None if limits is None else limits.model_dump(exclude={"enabled"})
                for name, limits in found.items()
            },
        }
    )
