"""A task's budget: documents that are answered, and those that were learnt from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.evaluation.budget.plan import AS_CONFIGURED
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.inputs import Challenge
from lmcore.tasks.judging import planning
from lmcore.tasks.judging.planning import (
    LEAST_DOCUMENTS,
    TaskSpeeds,
    measure_task,
    plan_task,
    planned_task,
)

CLASSIFIER = TaskSpeeds(answer=0.1, loss=0.1, sentence=0.01)
WRITER = TaskSpeeds(answer=3.0, loss=0.2, champion=2.0)


def gates(seconds: float | None) -> GatesConfig:
    values = {"resamples": 1000, "budget_seconds": seconds}
    return GatesConfig.model_validate({"evaluation": values})


SECONDS = st.floats(1e-4, 5.0)
SPEEDS = st.builds(
    TaskSpeeds,
    answer=SECONDS,
    loss=SECONDS,
    sentence=st.just(0.0) | SECONDS,
    champion=st.none() | SECONDS,
    unaided=st.none() | SECONDS,
)


@given(SPEEDS, st.integers(2, 3_000), st.integers(0, 3_000), st.booleans(), st.data())
def test_plans_keep_their_budget_and_grow_with_it(
    speeds: TaskSpeeds, judged: int, learnt: int, last: bool, data: st.DataObject
) -> None:
    seconds = sorted(data.draw(st.tuples(st.floats(1, 30_000), st.floats(1, 30_000))))
    facts: dict[str, Any] = {"judged": judged, "learnt": learnt, "last": last}
    less, more = (plan_task(gates(s), speeds, **facts, probe_seconds=0.5) for s in seconds)
    for plan in (less, more):
        floor = plan.limit("validation_documents") == 2 and plan.limit("train_documents") in (0, 2)
        assert plan.seconds <= plan.budget_seconds or floor or learnt == 1
        assert all(amount.planned <= amount.most for amount in plan.amounts.values())
    assert all(less.amounts[name].planned <= more.amounts[name].planned for name in less.amounts)


def test_whoever_answers_is_paid_for() -> None:
    facts: dict[str, Any] = {"judged": 100, "learnt": 100, "last": False}
    alone = plan_task(gates(1), WRITER, **facts)
    # Answers of both, and what the target costs the candidate.
    assert alone.amounts["validation_documents"].seconds == pytest.approx(2 * (3.0 + 0.2 + 2.0))
    last = plan_task(gates(1), WRITER, judged=100, learnt=100, last=True)
    assert last.amounts["validation_documents"].seconds == pytest.approx(2 * (3.0 + 0.4 + 2.0))
    # A classifier answers once, and each text again with its words exchanged.
    chosen = plan_task(gates(1), CLASSIFIER, **facts).amounts["validation_documents"]
    assert chosen.seconds == pytest.approx(2 * (0.1 + 2 * 0.1))


def test_both_sides_come_before_more_of_one() -> None:
    facts: dict[str, Any] = {"judged": 2_000, "learnt": 2_000, "last": False}
    needed = plan_task(gates(1), WRITER, **facts).stages[-1].budget_seconds
    plan = plan_task(gates(needed), WRITER, **facts)
    assert plan.limit("validation_documents") == plan.limit("train_documents") == LEAST_DOCUMENTS
    assert plan.lacking("overfitting") is None
    assert plan_task(gates(needed - 1), WRITER, **facts).lacking("overfitting") is not None


def test_a_plan_is_made_once_and_decides_what_is_answered(
    reviewed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def measured(challenge: Challenge, corpus: Any, documents: Any) -> TaskSpeeds:
        asked.append(len(documents))
        return CLASSIFIER

    monkeypatch.setattr(planning, "measure_task", measured)
    bench, config = reviewed.bench, reviewed.config
    assert (
        planned_task(
            bench.store,
            reviewed.corpus,
            challenge=Challenge(checkpoint=reviewed.checkpoint),
            base=None,
            gates=gates(None),
        )
        == AS_CONFIGURED
    )
    assert not asked
    whole = len(list(reviewed.corpus.documents.iter_documents("validation")))
    own = config.model_copy(update={"gates": gates(45)})
    report = bench.judge(own, reviewed.checkpoint)
    plan = report.plan()
    assert LEAST_DOCUMENTS <= plan.limit("validation_documents") < whole
    assert report.summary["documents"] == plan.limit("validation_documents")
    assert bench.judge(own, reviewed.checkpoint).path == report.path
    assert len(asked) == 1
    short = bench.judge(config.model_copy(update={"gates": gates(12)}), reviewed.checkpoint)
    found = {gate.gate: gate for gate in short.verdict().results}
    assert found["competence"].outcome == "INCONCLUSIVE"
    assert found["competence"].reason.startswith("TOO_SMALL_A_BUDGET")
    assert found["provenance"].outcome == "PASS"
    assert found["champion"].outcome == "SKIPPED"


def test_what_is_timed_is_what_is_asked(reviewed: Any) -> None:
    documents = list(reviewed.corpus.documents.iter_documents("validation"))[:3]
    challenge = Challenge(checkpoint=reviewed.checkpoint)
    found = measure_task(challenge, reviewed.corpus, documents)
    assert min(found.answer, found.loss, found.sentence) > 0
    assert (found.champion, found.unaided) == (None, None)
