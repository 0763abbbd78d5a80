"""One contract for the gates that compare: they read any metric, and ask it which way is better."""

import math
from dataclasses import replace

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU

from lmcore.errors import NotFiniteError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.champion import Incumbent, Margin, champion
from lmcore.evaluation.gates.competence import Bar, competence
from lmcore.evaluation.gates.overfitting import Fit, FitLimits, overfitting
from lmcore.evaluation.gates.result import guarded
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE
from lmcore.evaluation.statistics.intervals import Sample
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.metric import Metric
from lmcore.evaluation.statistics.resampling import Resampling

GATES = GatesConfig.default()
HOW = Resampling(resamples=1000)
COUNT = 120
SCORER = BLEU(force=True)
ACCURACY = Metric(name="accuracy", title="Accuracy", unit="share", higher_is_better=True)
ROUGE = Metric(name="rougeL", title="ROUGE-L", unit="share", higher_is_better=True)
CORPUS = Metric(name="bleu", title="BLEU", unit="BLEU", higher_is_better=True)
LOSS = Metric(name="loss", title="The loss of a token", unit="nats/token", higher_is_better=False)
NAMES = np.array([f"d{i:03d}" for i in range(COUNT)], dtype=object)
RNG = np.random.default_rng(0)
HARD = RNG.random(COUNT)


def bleu_of(rows):
    counts = [[round(v) for v in row] for row in rows]
    return np.array([SCORER._compute_score_from_stats(row).score for row in counts])


def answers(metric, skill, *, luck=0):
    """A model of some skill between 0 and 1 on documents that are unlike hard.

    `luck` is a seed: which documents it happens to do well on.
    """
    noise = np.random.default_rng(luck).normal(0, 0.08, COUNT) if luck else np.zeros(COUNT)
    chance = np.clip(skill + 0.3 * (HARD - 0.5) + noise, 0.02, 0.98)
    if metric is CORPUS:
        totals = np.tile([20, 19, 18, 17], (COUNT, 1))
        matches = np.round(totals * np.stack([chance**n for n in (1, 2, 3, 4)], axis=1))
        sums = np.column_stack([np.full((COUNT, 2), 20), matches, totals]).astype(float)
        sample = Sample(sums=sums, score=bleu_of, weight=sums[:, 1], slow=True)
    else:
        values = chance
        if metric is ACCURACY:
            drawn = np.random.default_rng(luck).random(COUNT) if luck else HARD
            values = (drawn < skill).astype(float)
        elif not metric.higher_is_better:
            values = 3 - 2.8 * chance
        sample = Sample.ratio(values, np.ones(COUNT))
    return Measured(metric=metric, id=NAMES, sample=sample)


METRICS = pytest.mark.parametrize("metric", [BITS_PER_BYTE, ACCURACY, ROUGE, CORPUS], ids=str)


def against(challenger, incumbent, **facts):
    return champion(
        challenger,
        Incumbent(version=3, measured=incumbent, known_ids=frozenset(NAMES), **facts),
        anchor=np.zeros(COUNT, dtype=bool),
        margin=Margin.of(GATES, challenger.metric),
        required=True,
        resampling=HOW,
    )


@METRICS
def test_a_surely_better_challenger_passes_and_a_surely_worse_one_fails(metric):
    good, poor = answers(metric, 0.8), answers(metric, 0.5)
    won, lost = against(good, poor), against(poor, good)
    assert (won.outcome, lost.outcome) == ("PASS", "FAIL")
    assert won.unit == metric.unit
    assert math.copysign(1, won.value) == metric.direction
    assert math.copysign(1, won.limit) == metric.direction
    assert abs(won.limit) == GATES.least_gain(metric.name)
    assert metric.heading in won.reason
    assert "version 3" in won.reason


@METRICS
def test_a_tie_does_not_replace_the_champion(metric):
    found = against(answers(metric, 0.7), answers(metric, 0.7))
    assert found.outcome == "FAIL"
    assert found.evidence["tie"]
    assert "A tie" in found.reason


@METRICS
def test_luck_is_inconclusive_or_fails_and_never_passes(metric):
    outcomes = [
        against(answers(metric, 0.7, luck=2 * i + 1), answers(metric, 0.7, luck=2 * i + 2)).outcome
        for i in range(10)
    ]
    assert set(outcomes) <= {"INCONCLUSIVE", "FAIL"}
    assert "INCONCLUSIVE" in outcomes


@METRICS
def test_after_a_removal_not_to_be_worse_is_enough(metric):
    same = against(answers(metric, 0.7), answers(metric, 0.7), removed=4)
    worse = against(answers(metric, 0.5), answers(metric, 0.8), removed=4)
    assert (same.outcome, worse.outcome) == ("PASS", "FAIL")
    assert "4 documents that the champion learnt from were removed" in same.reason
    assert math.copysign(1, same.limit) == -metric.direction


@METRICS
def test_a_champion_that_has_no_value_is_incomparable(metric):
    gone = against(answers(metric, 0.7), None, problem="its weights are gone")
    assert (gone.outcome, gone.evidence["code"]) == ("INCONCLUSIVE", "INCOMPARABLE")
    assert "its weights are gone" in gone.reason
    broken = answers(metric, 0.7)
    sums = broken.sample.sums.copy()
    sums[7, 0] = math.nan
    damaged = replace(broken, sample=replace(broken.sample, sums=sums))
    if metric is not CORPUS:  # counts are whole numbers
        assert "is nan" in against(answers(metric, 0.7), damaged).reason
    result = guarded("champion", required=True, judge=lambda _: against(damaged, broken))
    assert result.outcome == "FAIL"
    assert "not finite but nan" in result.reason


def held_against(own, bar, near=None):
    bars = [Bar(key="bar", name="a bar", measured=bar, must_be_beaten=True)]
    if near is not None:
        bars.append(Bar(key="near", name="a linear model", measured=near, may_be_ahead=0.05))
    return competence(own, bars, required=True, resampling=HOW)


@METRICS
def test_the_bar_must_be_surely_beaten(metric):
    good, poor = answers(metric, 0.8), answers(metric, 0.5)
    assert held_against(good, poor).outcome == "PASS"
    assert held_against(poor, good).outcome == "FAIL"
    assert held_against(good, good).outcome == "FAIL"
    one, other = answers(metric, 0.7, luck=1), answers(metric, 0.7, luck=2)
    assert held_against(one, other).outcome == "INCONCLUSIVE"


def test_a_bar_that_may_be_ahead_fails_only_where_it_surely_is_by_far():
    own, bar = answers(ACCURACY, 0.7), answers(ACCURACY, 0.4)
    near, far = answers(ACCURACY, 0.73), answers(ACCURACY, 0.99)
    assert held_against(own, bar, near).outcome == "PASS"
    found = held_against(own, bar, far)
    assert found.outcome == "FAIL"
    assert "surely more than the" in found.reason
    assert found.evidence["chances"]["near"]["mcnemar_p"] < 0.01
    behind = held_against(own, bar, bar)
    assert behind.outcome == "PASS"
    assert "ahead of it" in behind.reason


def fit(seen, unseen, *, best=None, last=None, **facts):
    best = best or answers(LOSS, 0.7)
    return Fit(seen=seen, unseen=unseen, best=best, last=last, **{"stopped_early": False, **facts})


def judged(found, gates=GATES):
    limits = FitLimits.of(gates, found.seen.metric)
    return overfitting(found, limits=limits, required=True, resampling=HOW)


@pytest.mark.parametrize("metric", [ACCURACY, LOSS], ids=str)
def test_what_was_learnt_by_heart_fails(metric):
    apart = {"seen": answers(metric, 0.99), "unseen": answers(metric, 0.2)}
    sound = {"seen": answers(metric, 0.72), "unseen": answers(metric, 0.7)}
    assert judged(fit(**apart)).outcome == "FAIL"
    found = judged(fit(**sound))
    assert found.outcome == "PASS"
    assert found.evidence["final_is_best"]
    assert "learnt from" in found.reason


def test_a_late_rise_of_a_task_counts_only_where_a_limit_is_given_and_it_is_sure_and_far():
    best, unseen, seen = answers(LOSS, 0.7), answers(ACCURACY, 0.7), answers(ACCURACY, 0.72)
    far, unsure = answers(LOSS, 0.5), answers(LOSS, 0.66, luck=1)
    assert judged(fit(seen, unseen, best=best, last=far)).outcome == "PASS"
    limited = GatesConfig.model_validate({"tasks": {"max_final_minus_best_nats": 0.1}})
    assert judged(fit(seen, unseen, best=best, last=far), limited).outcome == "FAIL"
    wide = judged(fit(seen, unseen, best=answers(LOSS, 0.7, luck=2), last=unsure), limited)
    turn = wide.evidence["final_minus_best"]
    assert turn["lower"] < 0.1 < turn["upper"]
    assert wide.outcome == "PASS"
    stopped = fit(seen, unseen, best=best, last=far, stopped_early=True)
    assert judged(stopped, limited).outcome == "PASS"


def test_a_gap_that_may_be_either_is_inconclusive():
    few = np.arange(12)
    seen, unseen = answers(ACCURACY, 0.95).select(few), answers(ACCURACY, 0.65).select(few)
    assert judged(fit(seen, unseen)).outcome == "INCONCLUSIVE"


def test_a_gap_without_a_number_is_told():
    sums = np.array([[math.nan, 1.0], [1.0, 1.0], [1.0, 1.0]])
    broken = Measured(metric=LOSS, id=NAMES[:3], sample=Sample.ratio(sums[:, 0], sums[:, 1]))
    with pytest.raises(NotFiniteError, match="nan"):
        judged(fit(broken, answers(LOSS, 0.7)))
