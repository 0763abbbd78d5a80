import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.overfitting import FitLimits, fit_of_language, overfitting
from lmcore.evaluation.memory.difficulty_reference import Reference
from lmcore.evaluation.memory.membership import Membership, Passages
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.resampling import Resampling

LIMITS = GatesConfig.default().overfitting
VAL = 1.5 + np.random.default_rng(0).normal(0, 0.1, 40)
TRAIN = 1.5 + np.random.default_rng(1).normal(0, 0.1, 40)


def judge(validation, train, final=None, limits=LIMITS, reference=None, **options):
    if reference is None:  # one that finds every document equally hard
        flat = [replace(table, nll_nats=table.num_bytes * 2.0) for table in (validation, train)]
        reference = Reference(validation=flat[0], train=flat[1])
    fit = fit_of_language(validation, train, reference=reference, final=final, **options)
    gates = GatesConfig.default().model_copy(update={"overfitting": limits})
    return overfitting(
        fit,
        limits=FitLimits.of(gates, BITS_PER_BYTE),
        required=True,
        resampling=Resampling(resamples=2000),
    )


@pytest.mark.parametrize(
    ("ratio", "outcome"), [(1.0, "PASS"), (1.1, "PASS"), (0.9, "INCONCLUSIVE"), (0.5, "FAIL")]
)
def test_the_gap_is_relative_and_bounded(scores, ratio, outcome):
    found = judge(scores(VAL), scores(TRAIN * ratio, start=100))
    assert found.outcome == outcome
    assert found.value == pytest.approx(1 - TRAIN.mean() * ratio / VAL.mean())
    assert found.limit == 0.10
    assert found.unit == "share"


def test_where_the_last_weights_are_the_best_the_difference_is_exactly_zero(scores):
    turn = judge(scores(VAL), scores(TRAIN, start=100)).evidence["final_minus_best"]
    assert (turn["value"], turn["lower"], turn["upper"]) == (0, 0, 0)


@pytest.mark.parametrize(("rise", "outcome"), [(0.0, "PASS"), (0.005, "PASS"), (0.05, "FAIL")])
def test_where_a_limit_is_given_last_weights_may_be_little_worse_than_the_best(
    scores, rise, outcome
):
    jitter = np.linspace(-1, 1, 40) * 1e-4
    limits = LIMITS.model_copy(update={"max_final_minus_best_bits_per_byte": 0.01})
    last = scores(VAL + rise + jitter)
    found = judge(scores(VAL), scores(TRAIN, start=100), final=last, limits=limits)
    assert found.outcome == outcome
    if outcome == "FAIL":
        assert (found.limit, found.unit) == (0.01, "bits/byte")


@pytest.mark.parametrize(("ratio", "outcome"), [(1.0, "PASS"), (0.5, "FAIL")])
@pytest.mark.parametrize("rise", [-0.5, 0.5])
def test_the_weights_that_are_kept_are_judged_and_the_last_ones_reported(
    scores, ratio, outcome, rise
):
    found = judge(scores(VAL), scores(TRAIN * ratio, start=100), final=scores(VAL + rise))
    assert found.outcome == outcome
    turn = found.evidence["final_minus_best"]
    assert (turn["outcome"], turn["value"]) == ("SKIPPED", pytest.approx(rise))
    assert f"the last weights are {rise:+.4f} bits/byte from the best, which are" in found.reason


def test_after_an_early_stop_the_last_weights_are_reported_not_judged(scores):
    final = scores(VAL + 0.5)
    found = judge(scores(VAL), scores(TRAIN, start=100), final=final, stopped_early=True)
    assert found.outcome == "PASS"
    assert found.evidence["final_minus_best"]["outcome"] == "SKIPPED"
    assert found.evidence["final_minus_best"]["value"] == pytest.approx(0.5)


def test_one_consumed_document_or_a_broken_score_is_no_evidence(scores):
    with pytest.raises(EmptyEvaluationError):
        judge(scores(VAL), scores(TRAIN[:1], start=100))
    with pytest.raises(EmptyEvaluationError):
        judge(scores(VAL), scores([math.nan] * 5, start=100))
    with pytest.raises(EmptyEvaluationError):
        judge(scores(VAL), scores(TRAIN, start=100), final=scores([math.inf] * 40))


def test_a_harder_sample_is_no_gap_and_an_easier_one_hides_none(scores):
    rng = np.random.default_rng(3)
    hard, plain = rng.normal(2.4, 0.4, 40), rng.normal(1.6, 0.4, 40)
    for train, validation in ((plain, hard), (hard, plain)):
        reference = Reference(
            validation=scores(validation + 0.1), train=scores(train + 0.1, start=100)
        )
        noise = rng.normal(0, 0.01, 40)
        sound = judge(
            scores(validation + noise), scores(train - noise, start=100), reference=reference
        )
        assert sound.outcome == "PASS"
        assert abs(sound.value) < 0.01
        assert abs(1 - sound.evidence["train"] / sound.evidence["validation"]) > 0.2
        learnt = judge(
            scores(validation + noise), scores(train - 0.5 - noise, start=100), reference=reference
        )
        assert learnt.outcome == "FAIL"


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 1.2), st.floats(0.01, 0.5), st.floats(0.1, 1.0))
def test_a_tighter_limit_never_passes_more(ratio, limit, shrink):
    names = [str(i) for i in range(40)]

    def table(bits):
        return ScoreTable(
            **dict.fromkeys(("id", "cluster", "name", "split", "license"), names),
            **dict.fromkeys(("source", "anchor"), [0] * 40),
            **dict.fromkeys(("num_bytes", "num_tokens"), [1] * 40),
            nll_nats=bits,
        )

    outcomes = [
        judge(
            table(VAL),
            table(TRAIN * ratio),
            limits=LIMITS.model_copy(update={"max_relative_gap": bound}),
        ).outcome
        for bound in (limit, limit * shrink)
    ]
    if outcomes[1] == "PASS":
        assert outcomes[0] == "PASS"


def membership(gain, count=300, documents=30):
    """Passages of which the members cost `gain` bits a byte less than equally hard others."""
    rng = np.random.default_rng(5)
    sides = []
    for side, shift in (("m", gain), ("o", 0.0)):
        hard = rng.normal(2.0, 0.3, count)
        bits = hard - shift + rng.normal(0, 0.05, count)
        passages = Passages(
            document=np.arange(count) % documents,
            cluster=np.array([f"{side}{i % documents}" for i in range(count)], dtype=object),
            start=np.zeros(count, dtype=np.int64),
            stop=np.full(count, 1000),
            nats=bits * 1000 * math.log(2),
        )
        sides.append((passages, hard))
    (members, member_reference), (others, other_reference) = sides
    return Membership(
        members=members,
        others=others,
        member_reference=member_reference,
        other_reference=other_reference,
    )


@pytest.mark.parametrize(
    ("gain", "limit", "outcome"),
    [(0.0, 0.6, "PASS"), (0.2, 0.6, "FAIL"), (0.2, None, "PASS"), (0.0, None, "PASS")],
)
def test_members_may_not_be_told_by_their_loss(scores, gain, limit, outcome):
    limits = LIMITS.model_copy(update={"max_membership_auc": limit})
    found = judge(scores(VAL), scores(TRAIN, start=100), membership=membership(gain), limits=limits)
    assert found.outcome == outcome
    if outcome == "FAIL":
        assert (found.unit, found.limit) == ("AUC", 0.6)
        assert found.lower > 0.6
    judged = found.evidence["membership_auc"]["outcome"]
    assert judged == ("SKIPPED" if limit is None else outcome)
    assert ("reported, not judged" in found.reason) == (limit is None)


def test_a_gap_that_cannot_be_told_names_the_documents_that_would(scores):
    found = judge(scores(VAL), scores(TRAIN * 0.9, start=100))
    assert found.outcome == "INCONCLUSIVE"
    need = found.evidence["needs"]
    assert need["what"] == "documents"
    assert need["count"] is None or need["count"] > need["have"]
    assert "needs" not in judge(scores(VAL), scores(TRAIN, start=100)).evidence


@pytest.mark.parametrize("count", [2, 4])
def test_few_documents_show_no_absence_of_a_gap(scores, count):
    rng = np.random.default_rng(5)
    passed = 0
    for _ in range(100):
        unseen = 1.5 + rng.normal(0, 0.1, count)
        seen = 1.5 * 0.9 + rng.normal(0, 0.1, count)  # a gap of exactly what is allowed
        passed += judge(scores(unseen), scores(seen, start=100)).outcome == "PASS"
    assert passed <= 12
