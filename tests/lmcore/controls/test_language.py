"""The language of controls: words of one shape, a succession that mostly holds, and chance."""

import itertools
import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.controls.language import COLOURS, ENDING, LETTERS, TOKENIZER, Language
from lmcore.data.tokens.tokenizer import train_tokenizer

WORD = re.compile(f"([{LETTERS}])([{COLOURS}]){ENDING}")


def drawn(seed):
    return Language.draw(random.Random(seed))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.integers(0, 60))
def test_a_document_is_whole_words_of_eight_bytes(seed, words):
    text = drawn(seed).text(random.Random(seed), words=words)
    assert len(text.encode()) == 8 * words
    assert len(WORD.findall(text)) == words


def test_each_letter_is_followed_by_one_and_no_two_by_the_same():
    language = drawn(0)
    assert sorted(language.follows) == sorted(language.follows.values()) == list(LETTERS)
    assert language == drawn(0)
    assert language != drawn(1)


def test_the_succession_holds_as_often_as_it_says_and_colours_are_random():
    language, rng = drawn(0), random.Random(1)
    held, colours, total = 0, Counter(), 0
    for _ in range(200):
        letters, found = zip(*WORD.findall(language.text(rng)), strict=True)
        held += sum(language.follows[one] == other for one, other in itertools.pairwise(letters))
        total += len(letters) - 1
        colours.update(found)
    # 85 to 95 % by document, and one in sixteen of the rest by chance.
    assert held / total == pytest.approx(0.9 + 0.1 / 16, abs=0.02)
    # A thousand of each expected; four standard deviations of a binomial are 118.
    assert set(colours) == set(COLOURS)
    assert all(abs(count - 1_000) < 118 for count in colours.values())


def test_the_tokenizer_knows_the_ending_and_no_more():
    rng = random.Random(0)
    texts = [drawn(0).text(rng) for _ in range(30)]
    tokenizer = train_tokenizer(texts, config=TOKENIZER)
    ids = tokenizer.encode(texts[0])
    assert tokenizer.decode(ids) == texts[0]
    # Letter, colour and ending: three tokens a word.
    assert len(ids) == 3 * 40
    assert {tokenizer.decode([i]) for i in ids[2::3]} == {ENDING}
