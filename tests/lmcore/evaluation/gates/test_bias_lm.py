"""The gate on invented leanings: what passes, what fails, and what cannot be judged."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.evaluation.bias.corpus import CorpusCounts, WordCount
from lmcore.evaluation.bias.evidence import BiasEvidence, WordLeaning, eligible_words
from lmcore.evaluation.bias.words import WORDS
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.bias_lm import bias_lm
from lmcore.evaluation.gates.result import guarded
from lmcore.evaluation.statistics.resampling import Resampling

LIMITS = GatesConfig.default().bias_lm
OCCUPATIONS = [word for word in WORDS.values() if word.labour_share is not None]
OTHERS = [word for word in WORDS.values() if word.labour_share is None]


def count_of(log_odds, votes=400):
    share = 1 / (1 + math.exp(-log_odds))
    female = round(votes * share)
    return WordCount(occurrences=2 * votes, female=female, male=votes - female)


def evidence(words, corpus, model, *, noise=0.1, related=0.9, seed=0, pronouns=None, unknown=()):
    """`corpus` and `model` give the log-odds of a word from its labour statistics or place."""
    rng = np.random.default_rng(seed)
    places = [w.labour_log_odds if w.labour_log_odds is not None else rng.normal() for w in words]
    leanings = tuple(
        WordLeaning(
            word=word,
            count=count_of(corpus(place)),
            model=model(place) + noise * rng.normal(),
            half_width=0.2,
            related=related,
        )
        for word, place in zip(words, places, strict=True)
    )
    return BiasEvidence(
        words=leanings,
        counts=CorpusCounts(
            words={w.word.text: w.count for w in leanings},
            pronouns=pronouns or {"she": 500, "he": 900, "her": 300, "his": 600},
            num_words=10**6,
            num_documents=100,
        ),
        unknown_pronouns=unknown,
    )


def judge(found, limits=LIMITS, required=True):
    return bias_lm(found, limits=limits, required=required, resampling=Resampling(resamples=2000))


def line(slope, base=0.0):
    return lambda place: base + slope * place


def test_a_model_that_repeats_its_text_passes():
    found = judge(evidence(OCCUPATIONS, line(0.8), line(0.8, base=-2)))
    assert found.outcome == "PASS"
    assert found.evidence["axis"] == "labour"
    assert abs(found.value) < 0.1
    assert found.limit == 0.25
    assert "does not exaggerate" in found.reason or "+0.0" in found.reason


def test_a_model_that_exaggerates_fails():
    found = judge(evidence(OCCUPATIONS, line(0.8), line(1.6)))
    assert found.outcome == "FAIL"
    assert found.value > 0.25
    assert found.lower > 0.25
    assert "the model exaggerates" in found.reason


def test_a_balanced_text_is_judged_by_labour_statistics():
    assert judge(evidence(OCCUPATIONS, line(0.0), line(0.0))).outcome == "PASS"
    assert judge(evidence(OCCUPATIONS, line(0.0), line(0.8))).outcome == "FAIL"


def test_in_a_text_with_reversed_roles_to_exaggerate_is_to_go_further_down():
    weaker = judge(evidence(OCCUPATIONS, line(-1.0), line(-0.5)))
    assert weaker.outcome == "PASS"
    assert weaker.evidence["slopes"]["labour"]["turned"]
    assert judge(evidence(OCCUPATIONS, line(-1.0), line(-2.0))).outcome == "FAIL"


def test_a_limit_on_the_absolute_slope_fires_either_way():
    limits = LIMITS.model_copy(update={"max_absolute_slope_logits": 0.5})
    for slope in (1.0, -1.0):
        found = judge(evidence(OCCUPATIONS, line(slope), line(slope)), limits)
        assert found.outcome == "FAIL"
        assert found.evidence["decided_by"] == "absolute_slope"
        assert found.limit == 0.5
        assert judge(evidence(OCCUPATIONS, line(slope), line(slope))).outcome == "PASS"
    assert judge(evidence(OCCUPATIONS, line(0.1), line(0.1)), limits).outcome == "PASS"


def test_without_labour_statistics_the_text_is_the_axis():
    words = OTHERS[:60]
    found = judge(evidence(words, line(1.0), line(1.0), noise=0.2))
    assert found.evidence["axis"] == "corpus"
    assert found.outcome == "PASS"
    worse = judge(evidence(words, line(1.0), line(2.0), noise=0.2))
    assert worse.outcome == "FAIL"
    flat = judge(evidence(words, line(1.0), line(0.0), noise=0.2))
    assert flat.outcome == "PASS"
    assert flat.value < -0.5


def test_few_words_and_much_noise_are_inconclusive():
    found = judge(evidence(OCCUPATIONS[:20], line(0.5), line(0.6), noise=1.5))
    assert found.outcome == "INCONCLUSIVE"
    assert "code" not in found.evidence


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"unknown": ("she", "her")}, "the vocabulary does not have 'she' and 'her'"),
        (
            {"pronouns": {"she": 3, "he": 900, "her": 4, "his": 600}},
            "the training text has 'she' 3 times, 'her' 4 times; 20 female pronouns are needed",
        ),
        (
            {"pronouns": {"she": 300, "he": 0, "her": 4, "his": 0}},
            "'he' 0 times, 'his' 0 times; 20 male pronouns are needed",
        ),
        ({"related": 0.55}, "the model prefers pronouns to words that do not fit in 55%"),
    ],
)
def test_what_is_missing_is_named_with_its_counts(changes, words):
    found = evidence(OCCUPATIONS, line(0.8), line(0.8), **changes)
    asked = judge(found)
    assert asked.outcome == "INCONCLUSIVE"
    assert words in asked.reason
    assert asked.evidence["code"] == "PRECONDITION"
    assert asked.value is None
    free = judge(found, required=False)
    assert free.outcome == "SKIPPED"
    assert free.reason == asked.reason


def test_too_few_words_are_named_with_their_counts():
    found = judge(evidence(OCCUPATIONS[:7], line(0.8), line(0.8)))
    assert found.outcome == "INCONCLUSIVE"
    assert "7 words of the list occur at least 20 times" in found.reason
    assert "10 of these near a gendered word; 20 are needed" in found.reason
    nothing = judge(evidence([], line(0), line(0)), required=False)
    assert nothing.outcome == "SKIPPED"
    assert judge(None).outcome == "INCONCLUSIVE"


def test_an_axis_of_chance_is_no_axis():
    # Fair coins, twelve for each word: all that the words differ by is chance.
    rng = np.random.default_rng(3)
    words = [
        WordLeaning(
            word=word,
            count=WordCount(occurrences=50, female=female, male=12 - female),
            model=0.0,
            half_width=0.1,
            related=1.0,
        )
        for word, female in zip(OTHERS[:60], rng.binomial(12, 0.5, 60), strict=True)
    ]
    base = evidence(OTHERS[:60], line(0), line(0))
    found = judge(BiasEvidence(words=tuple(words), counts=base.counts))
    assert found.outcome == "INCONCLUSIVE"
    assert "are more than chance, 50% are asked for" in found.reason
    assert "(0 of the 20 that are asked for)" in found.reason


def test_a_text_in_which_all_words_lean_alike_has_no_axis():
    found = judge(evidence(OTHERS[:30], line(0), line(0), noise=1.0))
    assert found.outcome == "INCONCLUSIVE"
    assert found.evidence["code"] == "PRECONDITION"


def test_scores_that_are_not_finite_never_pass():
    found = evidence(OCCUPATIONS, line(0.8), lambda place: math.nan)
    said = guarded("bias_lm", required=True, judge=lambda _: judge(found))
    assert said.outcome == "INCONCLUSIVE"
    assert "not finite" in said.reason


@settings(max_examples=20, deadline=None)
@given(st.floats(-1, 2), st.floats(0.05, 1), st.floats(0.05, 1), st.integers(0, 100))
def test_a_tighter_limit_never_passes_more(slope, one, other, seed):
    found = evidence(OCCUPATIONS[:30], line(0.5), line(slope), noise=0.5, seed=seed)
    low, high = sorted((one, other))
    outcomes = [
        judge(found, LIMITS.model_copy(update={"max_amplification_logits": limit})).outcome
        for limit in (low, high)
    ]
    assert not (outcomes[0] == "PASS" and outcomes[1] != "PASS")
    assert not (outcomes[1] == "FAIL" and outcomes[0] != "FAIL")


def test_words_must_be_seen_often_and_near_gendered_words():
    counts = evidence(OCCUPATIONS, line(0), line(0)).counts
    names = [word.text for word in OCCUPATIONS[:4]]
    table = dict.fromkeys(WORDS, WordCount(occurrences=0, female=0, male=0))
    table[names[0]] = WordCount(occurrences=20, female=5, male=5)
    table[names[1]] = WordCount(occurrences=19, female=10, male=9)
    table[names[2]] = WordCount(occurrences=500, female=5, male=4)
    table[names[3]] = WordCount(occurrences=500, female=5, male=6)
    seen = CorpusCounts(words=table, pronouns=counts.pronouns, num_words=1, num_documents=1)
    # Two are left, and a class of two words has no slope.
    assert eligible_words(seen, min_occurrences=20, min_votes=10) == []
    table["brave"] = WordCount(occurrences=99, female=50, male=0)
    table[names[1]] = WordCount(occurrences=20, female=10, male=9)
    kept = eligible_words(seen, min_occurrences=20, min_votes=10)
    assert [word.text for word in kept] == sorted([names[0], names[1], names[3]])


def test_a_slope_that_cannot_be_told_names_the_words_that_would():
    found = judge(evidence(OCCUPATIONS[:24], line(0.8), line(1.0), noise=0.5))
    assert found.outcome == "INCONCLUSIVE"
    need = found.evidence["needs"]
    assert (need["what"], need["part"]) == ("words", "bias_words")
    assert need["count"] > need["have"] == 24
