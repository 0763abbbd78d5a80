"""The arithmetic of a budget, over any parts and any prices."""

import math

from hypothesis import given
from hypothesis import strategies as st

from lmcore.evaluation.budget.plan import (
    AS_CONFIGURED,
    Amount,
    EvaluationPlan,
    Part,
    Stage,
    shared,
)

NAMES = "abc"


@st.composite
def requests(draw):
    """Parts whose cost rises in steps, or not at all for a while, and stages of them."""
    parts = {}
    for name in NAMES:
        price = draw(st.floats(0, 5, allow_nan=False))
        together = draw(st.integers(1, 7))
        parts[name] = Part(
            title=name,
            most=draw(st.integers(0, 50)),
            floor=draw(st.integers(0, 4)),
            seconds=lambda n, price=price, together=together: price * math.ceil(n / together),
        )
    stage = st.builds(
        Stage, gate=st.just(""), part=st.sampled_from(NAMES), least=st.integers(0, 60)
    )
    stages = draw(st.lists(stage, max_size=5))
    return parts, stages


def cost(parts, counts):
    return sum(part.seconds(counts[name]) for name, part in parts.items())


@given(requests(), st.floats(0, 400))
def test_a_plan_stays_within_its_budget_or_at_what_cannot_be_left_out(request_, seconds):
    parts, stages = request_
    found = shared(parts, stages, seconds=seconds)
    floors = {name: min(part.floor, part.most) for name, part in parts.items()}
    assert cost(parts, found) <= seconds or found == floors
    assert all(floors[name] <= found[name] <= parts[name].most for name in parts)


@given(requests(), st.floats(0, 400), st.floats(0, 400))
def test_a_larger_budget_never_gives_fewer(request_, one, other):
    parts, stages = request_
    less, more = (shared(parts, stages, seconds=s) for s in sorted((one, other)))
    assert all(less[name] <= more[name] for name in parts)


@given(requests())
def test_a_budget_for_everything_gives_everything(request_):
    parts, stages = request_
    most = {name: part.most for name, part in parts.items()}
    assert shared(parts, stages, seconds=cost(parts, most) + 1) == most


@given(requests(), st.integers(0, 4))
def test_the_budget_that_a_stage_names_reaches_it(request_, place):
    parts, stages = request_
    plan = EvaluationPlan.of(parts, stages, budget_seconds=1, probe_seconds=1)
    if place >= len(stages):
        return
    stage = plan.stages[place]
    found = shared(parts, stages, seconds=stage.budget_seconds - 1 + 1e-9)
    assert found[stage.part] >= min(stage.least, parts[stage.part].most)


def plain(title, most, price=1.0, floor=0):
    return Part(title=title, most=most, seconds=lambda n: price * n, floor=floor)


def stage(gate, part, least):
    return Stage(gate=gate, part=part, least=least)


def test_the_least_comes_first_and_the_rest_in_proportion():
    parts = {"a": plain("apples", 110), "b": plain("pears", 60)}
    stages = [stage("one", "a", 10), stage("two", "b", 10)]
    assert shared(parts, stages, seconds=12) == {"a": 10, "b": 0}
    assert shared(parts, stages, seconds=20) == {"a": 10, "b": 10}
    # 75 seconds more: half of what each of them still lacks.
    assert shared(parts, stages, seconds=95) == {"a": 60, "b": 35}


def test_what_comes_after_a_part_that_does_not_fit_gets_nothing():
    parts = {"a": plain("apples", 100, floor=2), "b": plain("pears", 3)}
    stages = [stage("one", "a", 50), stage("two", "b", 1)]
    assert shared(parts, stages, seconds=30) == {"a": 2, "b": 0}


def test_the_floor_is_kept_whatever_it_costs():
    parts = {"a": plain("apples", 9, price=100, floor=2)}
    assert shared(parts, [stage("one", "a", 5)], seconds=1) == {"a": 2}


def test_a_plan_records_what_it_decided():
    parts = {"a": plain("apples", 100, floor=1), "b": plain("pears", 0)}
    plan = EvaluationPlan.of(
        parts,
        [stage("one", "a", 20), stage("two", "a", 40), stage("two", "b", 5)],
        budget_seconds=32,
        probe_seconds=2,
        speeds={"score": 7.0},
    )
    assert plan.amounts["a"] == Amount(title="apples", planned=20, most=100, seconds=20.0)
    assert (plan.seconds, plan.full_seconds) == (22, 102)
    assert [s.budget_seconds for s in plan.stages] == [22, 42, 42]
    assert plan.count("a", 500) == 20
    assert plan.count("a", 7) == 7
    assert plan.limit("a") == 20
    assert plan.sentence() == "within 32 seconds of the models' time: 20 of 100 apples"
    assert EvaluationPlan.model_validate_json(plan.model_dump_json()) == plan


def test_few_because_of_the_budget_is_not_few_because_of_the_data():
    parts = {"a": plain("apples", 100), "b": plain("pears", 0)}
    stages = [stage("one", "a", 20), stage("two", "b", 5), stage("three", "a", 200)]
    plan = EvaluationPlan.of(parts, stages, budget_seconds=30)
    assert plan.lacking("one") is None
    assert plan.lacking("two") is None
    assert plan.lacking("three").budget_seconds == 100
    enough = EvaluationPlan.of(parts, stages, budget_seconds=100)
    assert enough.lacking("three") is None


def test_a_plan_tells_the_budget_for_more():
    parts = {"a": plain("apples", 110), "b": plain("pears", 60)}
    stages = [stage("one", "a", 10), stage("two", "b", 10)]
    plan = EvaluationPlan.of(parts, stages, budget_seconds=20)
    assert plan.budget_for("a", 5) == 20
    assert plan.budget_for("a", 60) == 95
    assert shared(parts, stages, seconds=95)["a"] == 60
    assert plan.budget_for("a", 110) == plan.full_seconds == 170
    assert plan.budget_for("a", 111) is None


def test_without_a_budget_everything_is_as_configured():
    assert AS_CONFIGURED.count("free_samples", 500) == 500
    assert AS_CONFIGURED.limit("validation_documents") is None
    assert AS_CONFIGURED.sentence() == ""
    assert AS_CONFIGURED.budget_seconds is None
    assert AS_CONFIGURED.lacking("competence") is None
    assert AS_CONFIGURED.budget_for("free_samples", 7) is None


def test_a_budget_that_is_too_small_for_anything_says_so():
    parts = {"a": plain("apples", 9, price=100, floor=2)}
    plan = EvaluationPlan.of(parts, [stage("one", "a", 5)], budget_seconds=10)
    assert plan.sentence() == (
        "within 10 seconds of the models' time (about 200, as what cannot be left out takes"
        " longer): 2 of 9 apples"
    )
