import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.tokens.layout import plan_layout
from lmcore.training.config import TrainingConfig
from lmcore.training.optimizer import learning_rate
from lmcore.training.plan import Machine, Plan, Revision, make_plan, weight_decay

LAYOUT = plan_layout(1_000_000, batch_size=32, sequence_length=128)
MACHINE = Machine(
    **{"precision": "float32", "device": "cpu", "threads": 2},
    **{"step": 0.1, "evaluation_step": 0.03, "save": 0.05, "elapsed": 4.0},
)


def plan_for(tune_tokens: int = 100_000, dropout: float | None = None, **training: object) -> Plan:
    return make_plan(
        TrainingConfig.model_validate(training),
        layout=LAYOUT,
        tune_tokens=tune_tokens,
        dropout=dropout,
        machine=MACHINE,
    )


@pytest.mark.parametrize("budget", [20.0, 120.0, 3600.0])
@pytest.mark.parametrize("tune_tokens", [0, 100_000, 10_000_000])
def test_a_budget_covers_steps_looks_saves_and_the_planning(
    budget: float, tune_tokens: int
) -> None:
    plan = plan_for(tune_tokens, budget_seconds=budget)
    looks = plan.evaluations * plan.evaluation_tokens / plan.tokens_per_step
    saves = plan.steps / plan.checkpoint_every + 1
    seconds = (
        MACHINE.elapsed
        + plan.steps * MACHINE.step
        + looks * MACHINE.evaluation_step
        + saves * MACHINE.save
    )
    assert 0.96 * budget < seconds <= 1.005 * budget


def test_a_budget_shorter_than_the_planning_is_one_step() -> None:
    assert plan_for(budget_seconds=1.0).steps == 1


def test_a_short_budget_is_not_spent_on_looks() -> None:
    slow = MACHINE.model_copy(update={"step": 1.0, "evaluation_step": 0.3, "elapsed": 1.0})
    plan = make_plan(
        TrainingConfig(budget_seconds=20.0),
        layout=LAYOUT,
        tune_tokens=100_000,
        dropout=None,
        machine=slow,
    )
    # Eight looks of 1.2 s would be half of it.
    assert plan.evaluations == 3
    assert plan.steps == 15


def test_steps_and_epochs_are_exact() -> None:
    assert plan_for(max_steps=77).steps == 77
    assert plan_for(max_epochs=2).steps == 2 * LAYOUT.steps_per_epoch
    assert plan_for(max_epochs=1e-9).steps == 1


def test_looks_are_spread_and_the_last_step_is_one() -> None:
    plan = plan_for(max_steps=100)
    marks = [step for step in range(1, 101) if plan.evaluates_after(step)]
    assert marks == [13, 25, 38, 50, 63, 75, 88, 100]
    short = plan_for(max_steps=3)
    assert [step for step in range(4) if short.evaluates_after(step)] == [1, 2, 3]
    assert not any(plan_for(0, max_steps=9).evaluates_after(step) for step in range(10))


@pytest.mark.parametrize(
    ("epochs", "dropout"), [(0.5, 0.0), (2.0, 0.05), (10.0, 0.15), (40.0, 0.3)]
)
def test_dropout_follows_the_epochs_unless_it_is_given(epochs: float, dropout: float) -> None:
    assert plan_for(max_epochs=epochs).dropout == dropout
    assert plan_for(dropout=0.3, max_epochs=epochs).dropout == 0.3


def test_warmup_leaves_room_for_the_rest() -> None:
    assert plan_for(max_steps=100).warmup_steps == 10
    assert plan_for(max_steps=9).warmup_steps == 0
    assert plan_for(max_steps=10_000).warmup_steps == 50


@pytest.mark.parametrize(("epochs", "shrinkage"), [(0.5, 1.0), (2.0, 2.0), (10.0, 4.0)])
def test_decay_shrinks_a_weight_as_far_whatever_the_rate_and_the_steps(
    epochs: float, shrinkage: float
) -> None:
    for rate, steps in ((4e-3, 5_000), (1e-3, 50_000)):
        decay = weight_decay(steps, epochs=epochs, peak=rate)
        taken = sum(
            decay * learning_rate(step, steps=steps, warmup_steps=0, peak=rate)
            for step in range(steps)
        )
        assert taken == pytest.approx(shrinkage, rel=1e-3)


def test_a_short_run_is_not_decayed_away_and_a_given_decay_is_kept() -> None:
    assert plan_for(max_steps=20).weight_decay == 1.0
    assert plan_for(max_steps=20, weight_decay=0.07).weight_decay == 0.07


def test_a_training_that_goes_on_holds_its_peak_for_half_of_the_steps() -> None:
    scratch = plan_for(max_steps=100)
    warm = plan_for(max_steps=100, start="champion")
    assert (scratch.decay_steps, warm.decay_steps) == (None, 50)
    assert plan_for(max_steps=1, start="champion").decay_steps == 1
    rates = [
        learning_rate(s, steps=100, warmup_steps=10, peak=1.0, decay_steps=50) for s in range(100)
    ]
    assert rates[10:51] == [1.0] * 41
    # Decay alone shrinks a weight as far as in a training that begins with random weights.
    shrunk = [
        plan.weight_decay
        * sum(
            learning_rate(
                s,
                steps=plan.steps,
                warmup_steps=plan.warmup_steps,
                peak=plan.learning_rate,
                decay_steps=plan.decay_steps,
            )
            for s in range(plan.steps)
        )
        for plan in (
            plan_for(max_steps=10_000),
            plan_for(max_steps=10_000, start="champion"),
        )
    ]
    assert shrunk[1] == pytest.approx(shrunk[0], rel=0.02)


def revised_plan(*, after: int = 40, steps: int = 60) -> Plan:
    revision = Revision(after=after, before=100, steps=steps, seconds=9.0, step_seconds=8.0)
    values = plan_for(max_steps=100).model_dump()
    return Plan.model_validate({**values, "steps": steps, "revisions": [revision.model_dump()]})


def test_a_revised_plan_goes_through_the_rest_of_its_schedule_at_another_speed() -> None:
    plan = revised_plan()
    # Sixty steps of the schedule are left at step 40, and twenty to do them in.
    assert [plan.position(step) for step in (0, 39, 40, 41, 50, 60)] == [0, 39, 40, 43, 70, 100]
    marks = [step for step in range(1, 61) if plan.evaluates_after(step)]
    # At 13, 25, 38, 50, 63, 75, 88 and 100 of the schedule.
    assert marks == [13, 25, 38, 44, 48, 52, 56, 60]
    rates = [
        learning_rate(plan.position(step), steps=plan.scheduled_steps, warmup_steps=10, peak=0.9)
        for step in range(60)
    ]
    assert rates[40] == pytest.approx(0.6)
    assert rates[50] == pytest.approx(0.3)
    assert rates[59] == pytest.approx(0.03)


def test_a_second_revision_changes_the_speed_again() -> None:
    once = revised_plan()
    second = Revision(after=50, before=60, steps=65, seconds=12.0, step_seconds=10.0)
    plan = Plan.model_validate(
        {**once.model_dump(), "steps": 65, "revisions": [once.revisions[0], second]}
    )
    assert [plan.position(step) for step in (40, 50, 65)] == [40, 70, 100]
    assert plan.position(53) == pytest.approx(76)
    assert sum(plan.evaluates_after(step) for step in range(66)) == plan.evaluations


@settings(deadline=None)
@given(data=st.data(), steps=st.integers(1, 500))
def test_whatever_is_revised_the_schedule_is_gone_through_once(
    data: st.DataObject, steps: int
) -> None:
    values = plan_for(max_steps=steps).model_dump()
    revisions: list[Revision] = []
    after, now = 0, steps
    for _ in range(data.draw(st.integers(0, 5))):
        if after >= now - 1:
            break
        after = data.draw(st.integers(after, now - 1))
        wanted = data.draw(st.integers(after + 1, steps))
        kept = {"seconds": 0.0, "step_seconds": 0.0}
        revisions.append(Revision(after=after, before=now, steps=wanted, **kept))
        now = wanted
    plan = Plan.model_validate({**values, "steps": now, "revisions": revisions})
    positions = [plan.position(step) for step in range(now + 1)]
    assert positions[0] == 0.0
    assert positions[-1] == steps == plan.scheduled_steps
    assert all(a < b for a, b in itertools.pairwise(positions))
    # A look at every mark, several marks of one step being one look.
    looks = sum(plan.evaluates_after(step) for step in range(now + 1))
    assert looks <= plan.evaluations
    assert plan.evaluates_after(now)


def test_revisions_that_do_not_follow_are_no_plan() -> None:
    values = revised_plan().model_dump()
    with pytest.raises(ValueError, match="steps=61, expected 60 of the last revision"):
        Plan.model_validate({**values, "steps": 61})
    with pytest.raises(ValueError, match="does not follow"):
        Plan.model_validate({**values, "revisions": values["revisions"] * 2})
    with pytest.raises(ValueError, match="after=60"):
        Revision(after=60, before=100, steps=60, seconds=0.0, step_seconds=0.0)
