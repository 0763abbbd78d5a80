"""Does a training keep its budget? Asked at a few points of the schedule, answered by its clock.

In: a plan, and how far the run is. Out: the plan with one revision more. A machine that became
slower than the probe found it gets fewer steps, and back those it lost when it becomes faster
again, never more than were planned at first. The caller records the answer before the next step:
what has happened once is followed when the run is resumed or replayed, and never asked again.

A load that doubles anywhere costs at most what lies between two points, a sixteenth of the budget;
one that is worse is noticed by the time that went by, after an eighth of it.

Threads that share busy cores wait for each other, several times as long as one alone would work:
docs/experiments.md. So where steps take longer than those of one thread did in the probe, one
thread goes on, and all of them are tried again from time to time, twice as rarely after each time.
"""

from __future__ import annotations

from lmcore.training.plan import Plan, Revision
from lmcore.training.progress import Progress

# Of the schedule. The first is early, as a probe of seconds may be far off.
_POINTS = (1 / 32, *(n / 16 for n in range(1, 16)))
# Of the budget: the longest time between two points, and that after another number of threads.
_LATE, _SOON = 1 / 8, 1 / 32
# Of the budget: nothing is changed for less.
_TOLERANCE = 0.02
# Steps of many threads that take so many times as long as those of one are none to go on with.
_WAITING = 1.2
# So many times as long as in the probe a step of one thread may take on a machine that is busy.
_BUSY = 1.5
# Of the schedule, with one thread, before all are tried again.
_PATIENCE = 1 / 16


def is_due(plan: Plan, progress: Progress) -> bool:
    """Whether the clock is to be asked now."""
    step = progress.step
    if plan.budget_seconds is None or not 0 < step < plan.steps:
        return False
    last = plan.revisions[-1] if plan.revisions else None
    if last and step <= last.after:
        return False
    decided = plan.position(last.after) if last else 0.0
    now = plan.position(step)
    if any(decided < point * plan.scheduled_steps <= now for point in _POINTS):
        return True
    if now >= _POINTS[-1] * plan.scheduled_steps:
        # Nothing is asked behind the last point: whoever replays a finished plan asks nothing.
        return False
    since = progress.seconds - (last.seconds - plan.planning_seconds if last else 0.0)
    return since > (_SOON if last and last.threads else _LATE) * plan.budget_seconds


def revised(plan: Plan, progress: Progress) -> Plan:
    """The plan with a revision at this step, which may leave all as it is.

    Args:
        plan: One with a budget.
        progress: Fewer steps than planned.
    """
    assert plan.budget_seconds is not None
    spent = plan.planning_seconds + progress.seconds
    pace = _seconds_per_step(plan, progress)
    before, threads = plan.threads_of(progress.step), _threads(plan, progress, pace)
    if threads < before and plan.alone_step_seconds:
        pace = min(pace, _BUSY * plan.alone_step_seconds)
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
        threads=None if threads == before else threads,
    )
    return plan.model_copy(update={"steps": steps, "revisions": (*plan.revisions, revision)})


def _threads(plan: Plan, progress: Progress, pace: float) -> int:
    """Of the steps to come."""
    now, alone = plan.threads_of(progress.step), plan.alone_step_seconds
    if alone is None or plan.threads == 1:
        return now
    waits = pace > _WAITING * alone
    if now > 1:
        return 1 if waits else now
    left = [revision.after for revision in plan.revisions if revision.threads == 1]
    patience = _PATIENCE * 2 ** len(left) * plan.scheduled_steps
    patient = plan.position(progress.step) - plan.position(left[-1]) < patience
    return now if waits or patient else plan.threads


def _seconds_per_step(plan: Plan, progress: Progress) -> float:
    """Since the last point, as the machine is now."""
    step, seconds = 0, 0.0
    if plan.revisions:
        step, seconds = plan.revisions[-1].after, plan.revisions[-1].step_seconds
    return max((progress.step_seconds - seconds) / (progress.step - step), 1e-9)
