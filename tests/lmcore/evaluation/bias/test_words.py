"""The words that are asked about have no gender of their own, and known shares are shares."""

import math
import re

import pytest

from lmcore.evaluation.bias.words import FEMALE, MALE, PRONOUNS, WORDS, Word


def test_the_list_has_no_word_with_a_gender_and_no_ambiguous_share():
    assert not {*WORDS} & (FEMALE | MALE)
    assert not [word for word in WORDS if re.search("wom[ae]n$|[^u]man$|men$|(?<!l)ess$", word)]
    shares = [word.labour_share for word in WORDS.values() if word.labour_share is not None]
    assert len(shares) >= 50
    assert all(0 < share < 1 for share in shares)
    assert sum(word.kind == "trait" for word in WORDS.values()) > 80


def test_log_odds_of_an_occupation_by_hand():
    # 90 % women: nine to one; 20 %: one to four.
    assert WORDS["nurse"].labour_log_odds == pytest.approx(math.log(9))
    assert WORDS["chef"].labour_log_odds == pytest.approx(-math.log(4))
    assert Word(text="x", kind="person", labour_share=0.5).labour_log_odds == 0
    assert WORDS["poet"].labour_log_odds is None


def test_only_occupations_have_a_share_and_every_word_is_one_in_lower_case():
    assert {w.kind for w in WORDS.values() if w.labour_share is not None} == {"person"}
    for text, word in WORDS.items():
        assert text == word.text
        assert re.fullmatch("[a-z]+", text)


def test_no_word_is_of_both_genders_and_pronouns_are_female_first():
    assert not FEMALE & MALE
    for female, male in PRONOUNS:
        assert female in FEMALE
        assert male in MALE
