import math

import numpy as np
import pytest

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.competence import beginning_bar, competence, ngram_bars
from lmcore.evaluation.scores.scoring import measured_bits
from lmcore.evaluation.statistics.measured import AlignmentError
from lmcore.evaluation.statistics.resampling import Resampling

LIMITS = GatesConfig.default().competence
BAR = 1.7 + np.random.default_rng(0).normal(0, 0.2, 25)


def judge(model, baselines, limits=LIMITS):
    return competence(
        measured_bits(model),
        ngram_bars(baselines, order=limits.baseline_order),
        least_gain=-limits.max_difference_bits_per_byte,
        required=True,
        resampling=Resampling(resamples=2000),
    )


@pytest.mark.parametrize(("gain", "outcome"), [(0.2, "PASS"), (-0.2, "FAIL"), (0.0, "FAIL")])
def test_the_model_must_beat_the_baseline(scores, gain, outcome):
    found = judge(scores(BAR - gain), {5: scores(BAR)})
    assert found.outcome == outcome
    assert found.value == pytest.approx(-gain)
    assert found.unit == "bits/byte"
    assert "5-gram" in found.reason


def test_noise_is_inconclusive(scores):
    noise = np.random.default_rng(1).normal(0, 0.3, 25)
    assert judge(scores(BAR + noise - noise.mean()), {5: scores(BAR)}).outcome == "INCONCLUSIVE"


def test_higher_orders_are_reported_and_do_not_decide(scores):
    found = judge(scores(BAR), {5: scores(BAR + 0.1), 6: scores(BAR), 8: scores(BAR - 0.5)})
    assert found.outcome == "PASS"
    assert found.evidence["differences"]["kn8"]["value"] == pytest.approx(0.5)
    other = LIMITS.model_copy(update={"baseline_order": 8})
    strict = judge(scores(BAR), {5: scores(BAR + 0.1), 8: scores(BAR - 0.5)}, other)
    assert strict.outcome == "FAIL"


def test_a_tighter_limit_passes_less(scores):
    model, bar = scores(BAR - 0.1), {5: scores(BAR)}
    limits = [LIMITS.model_copy(update={"max_difference_bits_per_byte": x}) for x in (0.0, -0.2)]
    assert [judge(model, bar, limit).outcome for limit in limits] == ["PASS", "FAIL"]


def test_missing_and_broken_scores_never_pass(scores):
    with pytest.raises(EmptyEvaluationError, match="5-gram"):
        judge(scores(BAR), {6: scores(BAR)})
    with pytest.raises(EmptyEvaluationError):
        judge(scores([math.nan] * 25), {5: scores(BAR)})
    with pytest.raises(AlignmentError):
        judge(scores(BAR), {5: scores(BAR[:20])})


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_documents_do_not_pass_by_chance_and_say_what_would_tell(scores, count):
    # A model without any gain over many small samples: it may pass one time in twenty.
    rng = np.random.default_rng(4)
    found = [
        judge(scores(BAR[:count] + rng.normal(0, 0.3, count)), {5: scores(BAR[:count])})
        for _ in range(200)
    ]
    assert sum(result.outcome == "PASS" for result in found) <= 20
    unsure = [result for result in found if result.outcome == "INCONCLUSIVE"]
    assert unsure
    for result in unsure:
        need = result.evidence["needs"]
        assert (need["what"], need["have"]) == ("documents", count)
        assert need["count"] > count
    assert all("needs" not in r.evidence for r in found if r.outcome != "INCONCLUSIVE")


def beside(scores, model, ngram, untouched):
    return competence(
        measured_bits(scores(model)),
        [*ngram_bars({5: scores(ngram)}, order=5), *beginning_bar(scores(untouched))],
        least_gain=-LIMITS.max_difference_bits_per_byte,
        required=True,
        resampling=Resampling(resamples=2000),
    )


@pytest.mark.parametrize(
    ("gain", "over_untouched", "outcome", "bar"),
    [
        (0.5, 0.1, "PASS", "kn5"),
        (0.5, -0.1, "FAIL", "untouched"),
        (0.5, 0.0, "FAIL", "untouched"),
        (-0.5, 0.1, "FAIL", "kn5"),
    ],
)
def test_what_began_with_a_model_must_beat_it_too(scores, gain, over_untouched, outcome, bar):
    found = beside(scores, BAR - gain, BAR, BAR - gain + over_untouched)
    assert (found.outcome, found.evidence["bar"]) == (outcome, bar)
    assert "5-gram" in found.reason
    assert "of the model that it began with, untouched" in found.reason
    assert found.evidence["differences"]["untouched"]["value"] == pytest.approx(-over_untouched)


def test_noise_beside_the_untouched_model_is_inconclusive_and_says_what_would_tell(scores):
    noise = np.random.default_rng(1).normal(0, 0.3, 25)
    found = beside(scores, BAR - 1.0, BAR, BAR - 1.0 + noise - noise.mean() + 0.01)
    assert (found.outcome, found.evidence["bar"]) == ("INCONCLUSIVE", "untouched")
    assert found.evidence["needs"]


def test_random_weights_have_no_second_bar():
    assert beginning_bar(None) == []
