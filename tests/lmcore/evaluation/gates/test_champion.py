import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.errors import EmptyEvaluationError, IntegrityError, NotFiniteError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.champion import Incumbent, Margin, champion, measure_incumbent
from lmcore.evaluation.inputs import ChampionInput
from lmcore.evaluation.scores.scoring import measured_bits
from lmcore.evaluation.statistics.resampling import Resampling

LIMITS = GatesConfig.default().champion


def judge(challenger, incumbent, limits=LIMITS, resamples=2000):
    return champion(
        measured_bits(challenger),
        incumbent,
        anchor=challenger.anchor,
        margin=Margin(
            least_gain=limits.margin_bits_per_byte,
            min_fresh_documents=limits.min_fresh_documents,
        ),
        required=True,
        resampling=Resampling(resamples=resamples),
    )


def scored(*, table, **facts):
    return Incumbent(measured=None if table is None else measured_bits(table), **facts)


def spread(count, seed=0):
    return 2 + np.random.default_rng(seed).normal(0, 0.3, count)


def ids(table, start=0, stop=None):
    return frozenset(table.id[start:stop])


def test_first_version_has_nothing_to_beat(scores):
    found = judge(scores(spread(5)), None)
    assert found.outcome == "SKIPPED"
    assert "NO_BASELINE" in found.reason


def test_the_same_model_again_is_a_tie_and_does_not_pass(scores):
    table = scores(spread(30))
    found = judge(table, scored(version=3, table=table, known_ids=ids(table)))
    assert found.outcome == "FAIL"
    assert (found.value, found.lower, found.upper) == (0, 0, 0)
    assert "tie" in found.reason
    assert found.evidence["tests"]["validation documents"]["sign_flip_p"] == 1.0


def test_better_on_the_same_documents_passes_though_documents_differ_widely(scores):
    old = spread(30)
    gain = np.random.default_rng(1).normal(0.02, 0.005, 30)
    challenger, table = scores(old - gain), scores(old)
    found = judge(challenger, scored(version=3, table=table, known_ids=ids(table)))
    assert found.outcome == "PASS"
    assert found.value == pytest.approx(-gain.mean())
    # Unpaired, the spread between documents would drown the gain.
    paired = found.upper - found.value
    unpaired = table.bits_per_byte().upper - table.bits_per_byte().value
    assert unpaired > 5 * paired


@pytest.mark.parametrize(("gain", "outcome"), [(-0.05, "FAIL"), (0.004, "FAIL"), (0.05, "PASS")])
def test_gain_is_held_against_the_margin(scores, gain, outcome):
    old = spread(30)
    challenger = scores(old - gain + np.linspace(-1, 1, 30) * 1e-4)
    found = judge(challenger, scored(version=1, table=scores(old), known_ids=frozenset()))
    assert found.outcome == outcome
    assert "version 1" in found.reason


def test_noise_is_inconclusive(scores):
    old = spread(30)
    noisy = old - 0.006 + np.random.default_rng(2).normal(0, 0.05, 30)
    table = scores(old)
    found = judge(scores(noisy), scored(version=1, table=table, known_ids=ids(table)))
    assert found.outcome == "INCONCLUSIVE"


def split_gain(scores, *, fresh_gain, anchor_gain, num_fresh=25, num_anchor=25):
    """Anchor documents that the champion knew, then fresh ones."""
    count = num_anchor + num_fresh
    old = spread(count)
    gain = np.r_[np.full(num_anchor, anchor_gain), np.full(num_fresh, fresh_gain)]
    anchor = [i < num_anchor for i in range(count)]
    jitter = np.linspace(-1, 1, count) * 1e-4
    table = scores(old, anchor=anchor)
    incumbent = scored(version=2, table=table, known_ids=ids(table, 0, num_anchor))
    return judge(scores(old - gain + jitter, anchor=anchor), incumbent)


def test_with_fresh_documents_it_must_win_there_and_hold_on_the_anchor(scores):
    assert split_gain(scores, fresh_gain=0.05, anchor_gain=0.0).outcome == "PASS"
    lost = split_gain(scores, fresh_gain=0.05, anchor_gain=-0.05)
    assert lost.outcome == "FAIL"
    assert lost.limit == pytest.approx(LIMITS.margin_bits_per_byte)
    not_won = split_gain(scores, fresh_gain=0.0, anchor_gain=0.5)
    assert not_won.outcome == "FAIL"
    assert not_won.limit == pytest.approx(-LIMITS.margin_bits_per_byte)
    assert set(not_won.evidence["tests"]) == {"fresh documents", "anchor documents"}


def test_with_too_few_fresh_documents_all_of_validation_decides(scores):
    found = split_gain(scores, fresh_gain=-0.5, anchor_gain=0.5, num_fresh=19, num_anchor=60)
    assert set(found.evidence["tests"]) == {"validation documents"}
    assert found.evidence["fresh_documents"] == 19


def test_documents_that_the_champion_was_trained_on_are_left_out(scores):
    old = spread(40)
    flattered = old.copy()
    flattered[:10] = 0.1
    challenger = scores(old - 0.05)
    table = scores(flattered)
    known = scored(version=1, table=table, known_ids=ids(table), train_ids=ids(table, 0, 10))
    found = judge(challenger, known)
    assert found.outcome == "PASS"
    assert found.value == pytest.approx(-0.05)
    assert found.evidence["left_out_seen_by_champion"] == 10


def test_a_champion_that_saw_everything_cannot_be_compared_with(scores):
    table = scores(spread(5))
    incumbent = scored(version=1, table=table, train_ids=ids(table))
    with pytest.raises(EmptyEvaluationError, match="trained on 5 of the 5"):
        judge(table, incumbent)


@pytest.mark.parametrize("broken", ["missing", "nan"])
def test_a_champion_without_scores_is_incomparable(scores, broken):
    table = scores(spread(30))
    old = scores([math.nan] * 30)
    incumbent = scored(
        version=7, table=None if broken == "missing" else old, problem="weights are gone"
    )
    found = judge(table, incumbent)
    assert found.outcome == "INCONCLUSIVE"
    assert found.reason.startswith("INCOMPARABLE")
    assert "version 7" in found.reason


@pytest.mark.parametrize("change", ["other documents", "fewer documents", "another text"])
def test_an_evaluation_set_that_changed_under_the_champion_is_incomparable(scores, change):
    table = scores(spread(30))
    old = scores(spread(30), start=5)
    if change == "fewer documents":
        old = table.select(np.arange(30) < 29)
    elif change == "another text":
        old = replace(table, num_bytes=table.num_bytes + 1)
    found = judge(table, scored(version=7, table=old))
    assert found.outcome == "INCONCLUSIVE"
    assert found.reason.startswith("INCOMPARABLE: champion version 7")
    assert "the evaluation set changed under it" in found.reason
    assert found.evidence["code"] == "INCOMPARABLE"


def test_whatever_is_wrong_with_a_champion_is_told_and_stops_nobody(scores):
    def given(**facts):
        return ChampionInput(version=4, weights=Path("w"), tokenizer=Path("t"), key="k", **facts)

    def broken(champion):
        raise IntegrityError(f"{champion.weights} is damaged")

    assert measure_incumbent(None, broken) is None
    found = measure_incumbent(given(removed=2), broken)
    assert (found.measured, found.problem, found.removed) == (None, "w is damaged", 2)
    known = measure_incumbent(given(problem="it was pruned"), broken)
    assert known.problem == "it was pruned"


def test_after_a_removal_it_may_be_a_little_worse_but_no_more(scores):
    old, jitter = spread(30), np.linspace(-1, 1, 30) * 1e-4
    table = scores(old)
    for loss, outcome in ((0.0, "PASS"), (0.001, "PASS"), (0.05, "FAIL")):
        incumbent = scored(version=2, table=table, known_ids=ids(table), removed=3)
        found = judge(scores(old + loss + jitter), incumbent)
        assert found.outcome == outcome
        assert found.limit == pytest.approx(LIMITS.margin_bits_per_byte)
        assert "3 documents that the champion learnt from were removed" in found.reason


def test_a_challenger_that_is_not_finite_never_passes(scores):
    incumbent = scored(version=1, table=scores(spread(30)))
    with pytest.raises(NotFiniteError, match="not finite but nan"):
        judge(scores([math.nan] * 30), incumbent)


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.1), st.floats(0.0, 0.1), st.integers(0, 99))
def test_a_larger_margin_never_promotes_more(gain, margin, more, seed):
    from lmcore.evaluation.scores.table import ScoreTable

    old = spread(25, seed)
    names = [str(i) for i in range(25)]

    def table(bits):
        return ScoreTable(
            **dict.fromkeys(("id", "cluster", "name", "split", "license"), names),
            **dict.fromkeys(("source", "anchor"), [0] * 25),
            **dict.fromkeys(("num_bytes", "num_tokens"), [1] * 25),
            nll_nats=bits,
        )

    noise = np.random.default_rng(seed).normal(0, 0.02, 25)
    incumbent = scored(version=1, table=table(old), known_ids=frozenset(names))
    strict, loose = (
        LIMITS.model_copy(update={"min_gain_bits_per_byte": m}) for m in (margin + more, margin)
    )
    challenger = table(old - gain + noise)
    if judge(challenger, incumbent, strict).outcome == "PASS":
        assert judge(challenger, incumbent, loose).outcome == "PASS"


def test_an_equal_model_is_promoted_in_at_most_five_percent(scores):
    # Models that differ by noise only: a true difference of zero.
    promoted, trials = 0, 200
    limits = LIMITS.model_copy(update={"min_gain_bits_per_byte": 1e-9})
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        old = spread(25, trial)
        incumbent = scored(version=1, table=scores(old))
        challenger = scores(old + rng.normal(0, 0.02, 25))
        found = judge(challenger, incumbent, limits, resamples=1000)
        promoted += found.outcome == "PASS"
    assert promoted <= 20  # 10 expected; 20 is the 99.8 % point


def test_a_gain_that_cannot_be_told_names_the_documents_that_would(scores):
    noise = np.random.default_rng(3).normal(0, 0.3, 30)
    theirs = scores(spread(30))
    ours = scores(spread(30) - 0.05 + noise - noise.mean())
    found = judge(ours, scored(version=3, table=theirs, known_ids=ids(theirs)))
    assert found.outcome == "INCONCLUSIVE"
    need = found.evidence["needs"]
    assert (need["what"], need["part"]) == ("validation documents", "validation_documents")
    assert need["count"] > need["have"] == 30
    fresh = judge(ours, scored(version=3, table=theirs)).evidence["needs"]
    assert (fresh["what"], fresh["part"]) == ("fresh documents", "fresh_documents")
