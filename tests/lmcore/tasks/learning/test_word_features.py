"""Words are put together again, whatever the tokenizer cuts."""

from typing import Any

import pytest
import torch
from declaration import ARTICLE_1
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.text.words import words_and_signs
from lmcore.data.tokens.vocabularies import ByteTokenizer, CharTokenizer, WordTokenizer
from lmcore.tasks.learning.word_features import WordFeatures


def words_of(texts: list[str], tokenizer: Any) -> list[set[tuple[int, int]]]:
    """Each word's hash and that of the word before it."""
    model = WordFeatures(len(tokenizer.pieces))
    model.spell(tokenizer.pieces)
    rows = [[tokenizer.end_id, *tokenizer.encode(text)] for text in texts]
    tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    present = torch.zeros(tokens.shape)
    for lane, row in enumerate(rows):
        tokens[lane, : len(row)] = torch.tensor(row)
        present[lane, : len(row)] = 1
    words, before, ends = model._words(tokens, present)
    return [
        set(zip(words[lane][ends[lane]].tolist(), before[lane][ends[lane]].tolist(), strict=True))
        for lane in range(len(rows))
    ]


def test_words_are_the_same_however_they_are_cut() -> None:
    texts = ["A good, good film", "a GOOD , good  film\n", "a film, good good", "a good"]
    for tokenizer in (ByteTokenizer(), WordTokenizer([" good", " film", "A"])):
        one, same, other, start = words_of(texts, tokenizer)
        assert len(one) == 5
        assert one == same
        assert {word for word, _ in one} == {word for word, _ in other}
        assert one != other
        assert start < one
    by_bytes, by_words = (
        [{word for word, _ in found} for found in words_of(texts, tokenizer)]
        for tokenizer in (ByteTokenizer(), WordTokenizer([" good", " film", "A"]))
    )
    assert by_bytes == by_words


def test_words_end_between_letters_digits_and_signs() -> None:
    def count(text: str) -> int:
        (found,) = words_of([text], ByteTokenizer())
        return len(found)

    assert count("room101 is great!!!") == 5
    assert count("caf\u00e9") == 1
    assert count("  ") == 0
    assert count("a  b\n\nc") == 3


@pytest.mark.parametrize("language", ["ar", "bn", "hi", "ta", "ru", "ko"])
def test_marks_do_not_end_words(language: str) -> None:
    text = ARTICLE_1[language]
    tokenizer = CharTokenizer(sorted(set(text)))
    (found,) = words_of([text], tokenizer)
    expected = words_and_signs(text)
    assert len(found) == len(set(zip(expected, [None, *expected], strict=False)))


def test_tokens_are_words_where_no_blank_ends_one() -> None:
    tokenizer = CharTokenizer(["\u4e2d", "\u56fd", "\u4eba"])
    (found,) = words_of(["\u4e2d\u56fd\u4eba\u4e2d\u56fd"], tokenizer)
    assert len({word for word, _ in found}) == 3
    assert len(found) == 4


def features_of(*texts: str) -> tuple[torch.Tensor, torch.Tensor]:
    tokenizer = ByteTokenizer()
    model = WordFeatures(len(tokenizer.pieces))
    model.spell(tokenizer.pieces)
    rows = [[tokenizer.end_id, *tokenizer.encode(text)] for text in texts]
    tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    present = torch.zeros(tokens.shape)
    for lane, row in enumerate(rows):
        tokens[lane, : len(row)] = torch.tensor(row)
        present[lane, : len(row)] = 1
    return model(tokens, present)


def test_words_and_pairs_of_neighbours_count_once_each() -> None:
    # Two words; that one begins the text; the pairs of both orders.
    _, valid = features_of("so so good", "so", "so good", "")
    assert valid.sum(1).tolist() == [5, 2, 4, 0]
    found, there = features_of("so good", "good so")
    one, other = (set(row[mask].tolist()) for row, mask in zip(found, there, strict=True))
    # The words are shared; what begins and what follows is not.
    assert len(one & other) == 2


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "Film", "no.1", "caf\u00e9", "!"]), min_size=1, max_size=6))
def test_blanks_between_words_and_capitals_are_no_matter(words: list[str]) -> None:
    one, other = " ".join(words), "  \n".join(word.replace("f", "F") for word in words) + " "
    found, valid = features_of(one, other)
    first, second = (row[mask].tolist() for row, mask in zip(found, valid, strict=True))
    assert first == second


def test_what_was_spelt_is_part_of_what_is_stored() -> None:
    tokenizer = WordTokenizer([" good", " film"])
    model = WordFeatures(len(tokenizer.pieces))
    model.spell(tokenizer.pieces)
    again = WordFeatures(len(tokenizer.pieces))
    again.load_state_dict(model.state_dict())
    tokens = torch.tensor([[tokenizer.end_id, *tokenizer.encode("a good film")]])
    present = torch.ones(tokens.shape)
    for one, other in zip(model(tokens, present), again(tokens, present), strict=True):
        assert torch.equal(one, other)
