"""Does a training keep its budget? Asked at a few points of the schedule, answered by its clock.

In: a plan, and how far the run is. Out: the plan with one revision more. A machine that became
slower than the probe found it gets fewer steps, and back those it lost when it becomes faster
again, never more than were planned at first. The caller records the answer before the next step:
what has happened once is followed when the run is resumed or replayed, and never asked again.

A load that doubles anywhere costs at most what lies between two points, a sixteenth of the budget.
"""

from __future__ import annotations

from lmcore.training.plan import Plan, Revision
from lmcore.training.progress import Progress

# Of the schedule. The first is early, as a probe of seconds may be far off.
_POINTS = (1 / 32, *(n / 16 for n in range(1, 16)))
# Of the budget: nothing is changed for less.
_TOLERANCE = 0.02


def is_due(plan: Plan, step: int) -> bool:
    """Whether the clock is to be asked when so many steps are done."""
    if plan.budget_seconds is None or not 0 < step < plan.steps:
        return False
    decided = plan.position(plan.revisions[-1].after) if plan.revisions else 0.0
    now = plan.position(step)
    return any(decided < point * plan.scheduled_steps <= now for point in _POINTS)


def revised(plan: Plan, progress: Progress) -> Plan:
    """The plan with a revision at this step, which may leave the number of steps as it is.

    Args:
        plan: One with a budget.
        progress: Fewer steps than planned.
    """
    assert plan.budget_seconds is not None
    spent = plan.planning_seconds + progress.seconds
    pace = _seconds_per_step(plan, progress)
    # Looks and resume points go by the schedule, and on as they went so far.
    done = plan.position(progress.step) / plan.scheduled_steps
    beside = (progress.seconds - progress.step_seconds) / done * (1.0 - done)
    left = plan.budget_seconds - spent - beside
    steps = plan.steps
    over = (plan.steps - progress.step) * pace - left
    tolerated = _TOLERANCE * plan.budget_seconds
    if over > tolerated or over < -tolerated:
        affordable = progress.step + max(1, int(left / pace))
        steps = min(plan.scheduled_steps, affordable)
    revision = Revision(
        after=progress.step,
        before=plan.steps,
        steps=steps,
        seconds=spent,
        step_seconds=progress.step_seconds,
    )
    return plan.model_copy(update={"steps": steps, "revisions": (*plan.revisions, revision)})


def _seconds_per_step(plan: Plan, progress: Progress) -> float:
    """Since the last point, as the machine is now."""
    step, seconds = 0, 0.0
    if plan.revisions:
        step, seconds = plan.revisions[-1].after, plan.revisions[-1].step_seconds
    return max((progress.step_seconds - seconds) / (progress.step - step), 1e-9)
