"""From speeds and sizes to counts: within the budget, never fewer for more, never beyond."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.evaluation.budget.language import LEAST_DOCUMENTS, Sizes, Speeds, plan_evaluation
from lmcore.evaluation.config import GatesConfig

SPEEDS = Speeds(score=500, step=0.06, write=0.2, lanes=32, draw=0.003, bytes_per_token=4.0)
SIZES = Sizes(
    validation=[20_000] * 24,
    fresh_at=12,
    train=[5_000] * 24,
    readers=2,
    instrument=(4, 192),
    samples=(4, 160),
    elicited=(32, 56),
    canaries=(64, 40),
    references=9_999,
    words=(60, 1_000),
)


def gates(seconds, **changes):
    return GatesConfig.model_validate({"evaluation": {"budget_seconds": seconds}, **changes})


@st.composite
def situations(draw):
    """Machines, champions and corpora of all sizes."""
    positive = st.floats(1e-4, 1.0)
    speeds = Speeds(
        score=draw(st.floats(50, 1e6)),
        step=draw(positive),
        write=draw(positive),
        lanes=draw(st.sampled_from([1, 4, 32, 512])),
        draw=draw(st.floats(0, 0.02)),
        bytes_per_token=draw(st.floats(1, 6)),
        champion=draw(st.none() | st.floats(100, 1e6)),
    )
    sizes = st.lists(st.integers(1, 200_000), max_size=60)
    return speeds, replace(
        SIZES,
        validation=draw(sizes),
        train=draw(sizes),
        fresh=draw(sizes),
        anchor=draw(sizes),
        fresh_at=draw(st.integers(0, 60)),
        readers=draw(st.integers(1, 4)),
        canaries=(draw(st.integers(0, 64)), 40),
        words=(draw(st.integers(0, 100)), 900),
    )


@settings(max_examples=60)
@given(situations(), st.floats(1, 20_000), st.floats(1, 20_000))
def test_plans_keep_their_budget_grow_with_it_and_end_at_the_configured_counts(found, one, other):
    speeds, sizes = found
    less, more = (
        plan_evaluation(gates(s), speeds, sizes, probe_seconds=0.5) for s in sorted((one, other))
    )
    floors = {"validation_documents": 2, "train_documents": 2, "instrument_texts": 1}
    for plan in (less, more):
        counts = {name: amount.planned for name, amount in plan.amounts.items()}
        assert plan.seconds <= plan.budget_seconds or all(
            count <= floors.get(name, 0) for name, count in counts.items()
        )
        assert all(amount.planned <= amount.most for amount in plan.amounts.values())
    for name, amount in less.amounts.items():
        assert amount.planned <= more.amounts[name].planned
    whole = plan_evaluation(gates(less.full_seconds + 1), speeds, sizes, probe_seconds=0.5)
    assert all(amount.planned == amount.most for amount in whole.amounts.values())
    assert whole.count("free_samples", 500) == 500


def test_the_same_speeds_give_the_same_plan():
    assert plan_evaluation(gates(600), SPEEDS, SIZES) == plan_evaluation(gates(600), SPEEDS, SIZES)


def test_what_carries_no_answer_is_not_asked_for():
    # A few seconds: two documents, which cannot be left out, and nothing that nobody can use.
    plan = plan_evaluation(gates(1), SPEEDS, SIZES)
    assert plan.limit("validation_documents") == 2
    assert plan.limit("free_samples") == 0
    assert plan.lacking("competence").least == LEAST_DOCUMENTS
    assert plan.lacking("competence").budget_seconds > 1
    assert plan.lacking("provenance") is None


def test_required_gates_come_first():
    seconds = plan_evaluation(gates(1), SPEEDS, SIZES).lacking("overfitting").budget_seconds
    plan = plan_evaluation(gates(seconds), SPEEDS, SIZES)
    assert plan.lacking("overfitting") is None
    assert plan.lacking("exposure") is not None
    other = plan_evaluation(gates(seconds, required=["exposure"]), SPEEDS, SIZES)
    assert other.lacking("exposure") is None
    assert other.lacking("overfitting") is not None


@pytest.mark.parametrize(("limit", "least"), [(0.01, 299), (0.05, 59)])
def test_so_many_free_samples_that_none_with_a_match_shows_something(limit, least):
    changes = {"regurgitation": {"max_verbatim_share": limit}}
    plan = plan_evaluation(gates(1, **changes), SPEEDS, SIZES)
    (stage,) = (s for s in plan.stages if s.part == "free_samples")
    assert stage.least == least
    assert 1 - 0.05 ** (1 / least) <= limit < 1 - 0.05 ** (1 / (least - 1))


def test_a_champion_is_read_at_its_own_speed():
    alone = plan_evaluation(gates(1), SPEEDS, SIZES).amounts["validation_documents"].seconds
    slow = plan_evaluation(gates(1), replace(SPEEDS, champion=1_000.0), SIZES)
    assert slow.amounts["validation_documents"].seconds == pytest.approx(alone + 2 * 20_000 / 1_000)


def test_documents_hold_the_windows_that_regurgitation_asks_for():
    plan = plan_evaluation(gates(1), SPEEDS, SIZES)
    parts = {s.part: s.least for s in plan.stages if s.gate == "regurgitation"}
    # (5,000 - 50) // 50 = 99 windows in each: 1,500 are in 16 documents.
    assert parts["validation_documents"] == parts["train_documents"] == 16


def test_without_canaries_nothing_is_ranked():
    plan = plan_evaluation(gates(10_000), SPEEDS, replace(SIZES, canaries=(0, 0)))
    assert plan.amounts["canary_references"].most == 0
    assert plan.lacking("exposure") is None


def test_no_budget_is_asked_for_windows_that_no_text_holds():
    plan = plan_evaluation(gates(1), SPEEDS, replace(SIZES, validation=[2_500] * 26))
    assert plan.lacking("regurgitation") is None
    assert not [stage for stage in plan.stages if stage.gate == "regurgitation"]
    assert plan.amounts["free_samples"].most == 500
