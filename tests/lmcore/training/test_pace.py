"""A budget is kept on a machine that changes its speed, by a clock of its own."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.tokens.layout import plan_layout
from lmcore.training.config import TrainingConfig
from lmcore.training.pace import is_due, revised
from lmcore.training.plan import Machine, Plan, make_plan
from lmcore.training.progress import Progress

BUDGET = 120.0
MACHINE = Machine(
    **{"precision": "float32", "device": "cpu", "threads": 2},
    **{"step": 0.1, "evaluation_step": 0.03, "save": 0.05, "elapsed": 4.0},
)


def plan_for(**training: object) -> Plan:
    return make_plan(
        TrainingConfig.model_validate(training),
        layout=plan_layout(1_000_000, batch_size=32, sequence_length=128),
        tune_tokens=100_000,
        dropout=None,
        machine=MACHINE,
    )


def followed(plan: Plan, slowness: Callable[[float], float]) -> tuple[Plan, float]:
    """Do a plan; everything takes `slowness(seconds so far)` times as long as the probe found.

    Returns the plan in the end, and the seconds that all of it took.
    """
    return shared(plan, lambda now, _: slowness(now))


def shared(plan: Plan, slowness: Callable[[float, int], float]) -> tuple[Plan, float]:
    """As `followed`, on a machine where the number of threads counts as well."""
    progress = Progress()
    look = plan.evaluation_tokens / plan.tokens_per_step * MACHINE.evaluation_step
    while progress.step < plan.steps:
        threads = plan.threads_of(progress.step + 1)
        now = slowness(plan.planning_seconds + progress.seconds, threads)
        progress = progress.after_step(1.0, seconds=now * MACHINE.step)
        beside = 0.0
        if plan.evaluates_after(progress.step):
            beside += now * look
        if progress.step % plan.checkpoint_every == 0:
            beside += now * MACHINE.save
        progress = progress.changed(seconds=progress.seconds + beside)
        if is_due(plan, progress):
            plan = revised(plan, progress)
            assert not is_due(plan, progress)
    return plan, plan.planning_seconds + progress.seconds


def test_a_steady_machine_does_what_was_planned() -> None:
    before = plan_for(budget_seconds=BUDGET)
    plan, seconds = followed(before, lambda _: 1.0)
    assert plan.steps == before.steps
    assert {(r.before, r.steps) for r in plan.revisions} == {(before.steps, before.steps)}
    assert seconds == pytest.approx(BUDGET, rel=0.03)


@pytest.mark.parametrize("factor", [0.5, 2.0, 4.0, 10.0])
def test_a_load_in_the_middle_does_not_break_the_promise(factor: float) -> None:
    before = plan_for(budget_seconds=BUDGET)
    plan, seconds = followed(before, lambda now: 1.0 if now < BUDGET / 2 else factor)
    if factor < 1:
        # Never more than was planned: what is left of the time is not filled.
        assert plan.steps == before.steps
        return
    assert seconds == pytest.approx(BUDGET, rel=0.1)
    # Half of the time went by at the speed of the probe, the rest at another.
    expected = before.steps * (0.5 + 0.5 / factor)
    assert plan.steps == pytest.approx(expected, rel=0.12)


def test_a_probe_that_was_far_too_fast_is_corrected_early() -> None:
    before = plan_for(budget_seconds=BUDGET)
    plan, seconds = followed(before, lambda _: 4.0)
    assert seconds == pytest.approx(BUDGET, rel=0.1)
    assert plan.revisions[0].after <= before.steps // 32 + 1
    assert plan.steps < before.steps / 3


def test_a_trouble_that_passes_gives_its_steps_back() -> None:
    before = plan_for(budget_seconds=BUDGET)
    plan, seconds = followed(before, lambda now: 5.0 if 40 < now < 55 else 1.0)
    assert min(r.steps for r in plan.revisions) < 0.6 * before.steps
    assert seconds == pytest.approx(BUDGET, rel=0.05)
    # Fifteen seconds at a fifth of the speed are twelve that are lost.
    assert plan.steps == pytest.approx(0.9 * before.steps, rel=0.05)


ALONE = 1.8


def beside_another(start: float, stop: float) -> Callable[[float, int], float]:
    """A process takes a core between two moments; two threads then wait for each other."""

    def slowness(now: float, threads: int) -> float:
        if threads == 1:
            return ALONE
        return 8.0 if start < now < stop else 1.0

    return slowness


def test_threads_that_wait_for_each_other_leave_one_alone_and_come_back() -> None:
    before = plan_for(budget_seconds=BUDGET).model_copy(
        update={"alone_step_seconds": ALONE * MACHINE.step}
    )
    load = beside_another(30.0, 80.0)
    plan, seconds = shared(before, load)
    assert seconds == pytest.approx(BUDGET, rel=0.1)
    threads = [revision.threads for revision in plan.revisions if revision.threads]
    assert threads[0] == 1
    assert plan.threads_of(plan.steps) == 2
    assert plan.threads_of(1) == 2
    stubborn, _ = shared(before.model_copy(update={"alone_step_seconds": None}), load)
    assert {revision.threads for revision in stubborn.revisions} == {None}
    # Of 116 s 66 go at full speed; the others at a quarter of it at least, not at an eighth.
    assert plan.steps > 1.15 * stubborn.steps
    assert plan.steps > (66 + 50 / 4) / 116 * before.steps


def test_a_load_that_stays_is_tried_ever_more_rarely() -> None:
    before = plan_for(budget_seconds=900.0).model_copy(
        update={"alone_step_seconds": ALONE * MACHINE.step}
    )
    plan, seconds = shared(before, beside_another(100.0, 1e9))
    assert seconds == pytest.approx(900.0, rel=0.1)
    threads = [revision.threads for revision in plan.revisions if revision.threads]
    assert threads[0] == 1
    assert threads.count(2) <= 3
    # One thread all the time after the load would have done this many steps.
    alone = before.steps * (100 + 800 / ALONE) / 900
    assert plan.steps > 0.75 * alone


def test_a_plan_of_one_thread_stays_with_it() -> None:
    before = plan_for(budget_seconds=BUDGET).model_copy(update={"threads": 1})
    plan, _ = shared(before, lambda now, _: 1.0 if now < 60 else 3.0)
    assert {revision.threads for revision in plan.revisions} == {None}


@settings(deadline=None, max_examples=50)
@given(
    moment=st.floats(0.1, 0.9), factor=st.floats(1.0, 2.0), budget=st.sampled_from([60.0, 900.0])
)
def test_wherever_a_load_doubles_the_run_ends_within_a_tenth(
    moment: float, factor: float, budget: float
) -> None:
    before = plan_for(budget_seconds=budget)
    plan, seconds = followed(before, lambda now: 1.0 if now < moment * budget else factor)
    assert seconds == pytest.approx(budget, rel=0.1)
    assert plan.scheduled_steps == before.steps


def test_without_a_budget_the_clock_is_not_asked() -> None:
    plan = plan_for(max_steps=100)
    assert not any(is_due(plan, Progress(step=step)) for step in range(101))


def test_the_clock_is_asked_at_seventeen_points_at_most_and_once_at_each() -> None:
    plan = plan_for(budget_seconds=BUDGET)
    assert sum(is_due(plan, Progress(step=step)) for step in range(plan.steps + 1)) > 16
    done, _ = followed(plan, lambda _: 1.0)
    assert len(done.revisions) == 16
    few = plan.model_copy(update={"steps": 5})
    assert len(followed(few, lambda _: 1.0)[0].revisions) == 4
