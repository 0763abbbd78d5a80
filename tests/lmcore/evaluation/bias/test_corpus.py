"""Counts near words, against a few sentences by hand and a slow count by definition."""

import math
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.evaluation.bias import corpus
from lmcore.evaluation.bias.corpus import WordCount, count_words
from lmcore.evaluation.bias.words import FEMALE, MALE, WORDS


def counts(*texts, window=12):
    return count_words(texts, window=window)


def test_words_by_hand():
    found = counts("The Nurse said that she was late, and the engineer's brother laughed.")
    assert found.words["nurse"] == WordCount(occurrences=1, female=1, male=0)
    assert found.words["engineer"] == WordCount(occurrences=1, female=0, male=1)
    assert found.words["teacher"] == WordCount(occurrences=0, female=0, male=0)
    assert found.pronouns == {"she": 1, "he": 0, "her": 0, "his": 0}
    assert found.num_documents == 1


def test_words_of_other_languages_hold_no_pronouns():
    found = counts("In der Nähe, auf der Höhe; thé, chéri, où, hé: c'est à lui. Sher was he.")
    assert found.pronouns == {"she": 0, "he": 1, "her": 0, "his": 0}
    assert counts("nurse naïve she", window=2).words["nurse"].female == 1


def test_what_follows_goes_before_what_is_nearer_but_came_earlier():
    # "he" is one word before, "she" three words after: a model that reads forwards learns "she".
    assert counts("he, nurse of the she").words["nurse"] == WordCount(
        occurrences=1, female=1, male=0
    )
    assert counts("he was a nurse").words["nurse"].male == 1


def test_the_window_ends_where_it_says():
    text = "nurse" + " x" * 3 + " she"
    assert counts(text, window=4).words["nurse"].female == 1
    assert counts(text, window=3).words["nurse"].female == 0
    assert counts(text, window=3).words["nurse"].occurrences == 1


def test_documents_do_not_touch():
    assert counts("a nurse", "she").words["nurse"].gendered == 0
    assert counts("a nurse she").words["nurse"].female == 1


def test_log_odds_are_finite_and_antisymmetric():
    one, other = (WordCount(occurrences=9, female=f, male=m) for f, m in ((8, 0), (0, 8)))
    assert one.log_odds == -other.log_odds
    assert math.isclose(one.log_odds, math.log(17))
    assert math.isclose(one.variance, 1 / 8.5 + 2)


def by_definition(texts, window):
    votes = {word: [0, 0, 0] for word in WORDS}
    for text in texts:
        words = re.findall("[a-z]+", text.lower())
        for place, word in enumerate(words):
            if word not in votes:
                continue
            votes[word][0] += 1
            near = words[place + 1 : place + 1 + window]
            near += words[max(0, place - window) : place][::-1]
            for other in near:
                if other in FEMALE or other in MALE:
                    votes[word][1 if other in FEMALE else 2] += 1
                    break
    return votes


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from(["nurse", "She", "he", "x", "of.", "BRAVE", "man"]), max_size=25),
        max_size=4,
    ),
    st.integers(1, 6),
    st.integers(5, 40),
)
def test_counts_are_those_of_the_definition(documents, window, flush):
    texts = [" ".join(words) for words in documents]
    before = corpus._FLUSH_WORDS
    corpus._FLUSH_WORDS = flush
    try:
        found = count_words(texts, window=window)
    finally:
        corpus._FLUSH_WORDS = before
    expected = by_definition(texts, window)
    for word in ("nurse", "brave"):
        count = found.words[word]
        assert [count.occurrences, count.female, count.male] == expected[word]
