"""Every control of every gate: the rows of the matrix.

A module of controls is added by one line in `_MODULES`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lmcore.controls.control import Control
from lmcore.controls.language_models import (
    bias_lm,
    champion,
    competence,
    data_sufficiency,
    instrument,
    made_from,
    memorisation,
    overfitting,
    ownership,
)
from lmcore.controls.tasks import bias_task
from lmcore.controls.tasks import champion as champion_of_tasks
from lmcore.controls.tasks import competence as competence_of_tasks
from lmcore.controls.tasks import instrument as instrument_of_tasks
from lmcore.controls.tasks import overfitting as overfitting_of_tasks
from lmcore.errors import UserError

_MODULES = (
    instrument,
    instrument_of_tasks,
    competence,
    competence_of_tasks,
    champion,
    champion_of_tasks,
    overfitting,
    overfitting_of_tasks,
    memorisation,
    ownership,
    made_from,
    data_sufficiency,
    bias_lm,
    bias_task,
)

CONTROLS: tuple[Control, ...] = tuple(control for module in _MODULES for control in module.CONTROLS)


def controls(gate: str | None = None) -> Sequence[Control]:
    """The controls of one gate, or of all.

    Raises:
        UserError: If no gate of that name has controls.
    """
    found = [control for control in CONTROLS if gate in (None, control.gate)]
    if not found:
        known = ", ".join(dict.fromkeys(control.gate for control in CONTROLS))
        raise UserError(f"--gate {gate}: no such gate has controls; expected one of {known}")
    return found
