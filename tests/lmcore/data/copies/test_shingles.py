"""What a shingle is, by hand, in every script."""

import numpy as np
import pytest
from declaration import ARTICLE_1

from lmcore.data.copies.shingles import shingles


def test_shingles_are_five_words_or_nine_characters() -> None:
    assert len(shingles("one two three four five six seven")) == 3
    assert len(shingles("one two three four")) == len("one two three four") - 8
    assert len(shingles("中文没有空格所以按字符切分就好")) == 15 - 8
    assert len(shingles("short")) == 1
    assert len(shingles("")) == 1
    same = shingles("The cat,  SAT on\nthe mat!")
    assert np.array_equal(same, shingles("the cat sat on the mat"))
    assert not np.array_equal(shingles("a b c d e"), shingles("e d c b a"))


def test_shingles_of_latin_text_stay_what_they_were() -> None:
    # Sketches of homes that exist are compared with those of today.
    found = shingles("Don't stop: the naïve café's 3rd door, ÄÖÜ straße — “well”!")
    assert [int(value) for value in found[:3]] == [378808749, 2565267907, 1845694659]


@pytest.mark.parametrize("language", ["hi", "ta", "bn", "ar", "zh", "ja", "th", "km"])
def test_an_excerpt_is_alike_in_every_script(language: str) -> None:
    text = ARTICLE_1[language]
    half = len(text) // 2
    # Other punctuation hides nothing; the other half has nothing in common.
    same, rest = text[:half].replace(" ", "  ").replace("。", "！"), text[half:]
    own, part, other = (set(shingles(t).tolist()) for t in (text, same, rest))
    assert len(own & part) >= 0.8 * len(part) >= 4
    assert len(part & other) == 0


def test_marks_do_not_cut_words_and_unspaced_scripts_give_characters() -> None:
    assert len(shingles("मेरी हिन्दी की किताबें कहाँ हैं")) == 6 - 4
    assert len(shingles("中文，没有空格。所以按字符切分就好！")) == 15 - 8
    assert np.array_equal(
        shingles("中文没有空格所以按字符"), shingles("中文，没有空格：所以按字符。")
    )
