"""What to do next, by what is registered: said by the bare `lmcore` and by a sound `lmcore doctor`.

In: the models of a home, as seen at a glance.  Out: command lines, and what each does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmcore.tasks.task import task_named

if TYPE_CHECKING:
    from flows.registry.glance import GlancedModel


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command to give next.

    Attributes:
        line: As it is typed.
        purpose: What it does.
    """

    line: str
    purpose: str


_FIRST = (
    Step(line="lmcore run", purpose="make a first model of the embedded example, in four minutes"),
    Step(line="lmcore init FOLDER", purpose="write a configuration for your own text"),
)
_LOOK = Step(line="lmcore status", purpose="see which version of each model is in use")
_RUN = Step(line="lmcore run", purpose="train, judge and, where every gate passes, promote")


def next_steps(models: Sequence[GlancedModel] | None) -> list[Step]:
    """The commands that matter now.

    Args:
        models: What is registered; None where it is not known.
    """
    if models is None:
        return [_LOOK, _RUN]
    if not models:
        return list(_FIRST)
    # One in use can be asked; of several the first one stands for all.
    model = next((m for m in models if "champion" in m.aliases), models[0])
    option = f" --model {model.name}" if len(models) > 1 else ""
    if "champion" not in model.aliases:
        versions = Step(
            line=f"lmcore versions{option}", purpose="see what was made, and its quality"
        )
        return [_LOOK, versions, _report(option)]
    task = task_named(model.task)
    use = (
        Step(line=f'lmcore generate{option} --prompt "..."', purpose="continue a text")
        if task.is_language_model
        # A model of a task is chosen by itself where it is the only one.
        else Step(line=f'lmcore predict{option} "..."', purpose=f"{task.verb} a text")
    )
    return [_LOOK, use, _report(option)]


def _report(option: str) -> Step:
    return Step(line=f"lmcore report{option}", purpose="open the page that says how good it is")


def lines(steps: Sequence[Step]) -> list[str]:
    """One line a step, purposes below one another."""
    width = max((len(step.line) for step in steps), default=0)
    return [f"{step.line:<{width}}   {step.purpose}" for step in steps]
