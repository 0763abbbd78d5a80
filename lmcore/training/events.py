"""What training tells the outside while it runs, and how the outside stops it.

The loop prints nothing and knows no tracker: it calls one function with one small
record. Progress bars, MLflow and Prefect hang on that function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from lmcore.errors import LmcoreError

EventKind = Literal[
    "waiting", "plan", "resume", "step", "evaluation", "checkpoint", "revision", "recovery", "done"
]


@dataclass(frozen=True, kw_only=True)
class TrainingEvent:
    """One thing that happened.

    Attributes:
        kind: What happened; `step` comes a few times a second at most.
        step: Steps done so far.
        steps: Steps planned.
        values: Numbers with their unit in the name.
        message: One line for people.
        stage: Of a training in several stages, the one before the last; empty for that.
    """

    kind: EventKind
    step: int
    steps: int
    values: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    stage: str = ""


Listener: TypeAlias = Callable[[TrainingEvent], None]


class TrainingInterrupted(LmcoreError):  # noqa: N818 - being asked to stop is no error
    """Training was asked to stop; what was done is saved, and the same call goes on from it.

    Args:
        step: Steps done.
        steps: Steps planned; 0 where there is no plan yet.
        where: Folder of the resume points.
    """

    def __init__(self, step: int, steps: int, where: Path) -> None:
        super().__init__(
            f"training stopped on request after step {step} of {steps}; the state is saved in"
            f" {where}, and the same command goes on from there"
            if steps
            else "training stopped on request before its first step; the same command begins it"
        )
        self.step, self.steps, self.where = step, steps, where
