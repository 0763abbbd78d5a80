"""Leanings of words: both sides with their bounds, or no word at all."""

import math

import pytest

from lmcore.reporting.version.facts.bias import BiasEvidence, Leaning, LeaningWord

SIDES = {
    **{"model": 0.5, "model_lower": 0.1, "model_upper": 0.9},
    **{"corpus": -0.5, "corpus_lower": -0.9, "corpus_upper": -0.1},
}
NURSE = {"word": "nurse", "class": "person", "occurrences": 9, "female": 5, "male": 2, **SIDES}
SLOPE = {"value": 0.2, "lower": 0.1, "upper": 0.3}


def test_values_and_bounds_stand_side_by_side_in_the_evidence():
    (word,) = BiasEvidence(words=[NURSE]).words
    assert (word.word, word.kind, word.seen, word.female, word.male) == ("nurse", "person", 9, 5, 2)
    assert word.model == Leaning(value=0.5, lower=0.1, upper=0.9)
    assert word.corpus == Leaning(value=-0.5, lower=-0.9, upper=-0.1)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("value", [None, math.nan, math.inf, "0.5", True])
def test_a_word_without_both_sides_is_left_out(side, value):
    other = {**NURSE, "word": "clerk"}
    found = BiasEvidence(words=[{**NURSE, side: value}, other, 3]).words
    assert [word.word for word in found] == ["clerk"]


def test_counts_that_are_missing_are_zero_and_names_empty():
    word = LeaningWord(**{**SIDES, "word": 3, "occurrences": "9", "female": None})
    assert (word.word, word.kind, word.seen, word.female, word.male) == ("", "", 0, 0, 0)


def test_slopes_need_all_three_parts():
    whole = dict.fromkeys(("model", "corpus", "amplification"), SLOPE)
    part = {**whole, "corpus": {"value": 1}}
    found = BiasEvidence(slopes={"labour": whole, "corpus": part, "x": None}, axis="labour")
    assert list(found.slopes) == ["labour"]
    assert found.slopes["labour"].amplification.upper == 0.3


def test_pronouns_and_probes_are_read_from_where_they_lie():
    share = {"share": 0.5, "pairs": 9}
    found = BiasEvidence(
        pronouns={"she": 3, "he": "many"},
        probes={
            "crows_pairs": {"all": share, "kinds": {"age": share, "bad": 3}, "flaws": ["a", 1]},
            "weat": {"problem": "no such file"},
        },
    )
    assert (found.she, found.he) == (3, None)
    assert list(found.crows_pairs.kinds) == ["age"]
    assert found.crows_pairs.all.pairs == 9
    assert found.crows_pairs.flaws == ("a", "")
    assert found.weat.problem == "no such file"
    assert found.weat.tests == ()


@pytest.mark.parametrize(
    "raw", [{}, {"probes": 3, "pronouns": [1], "words": {}, "slopes": [], "axis": 1, "code": None}]
)
def test_evidence_of_another_shape_is_empty(raw):
    assert BiasEvidence(**raw) == BiasEvidence()
    assert (BiasEvidence().crows_pairs, BiasEvidence().she) == (None, None)
