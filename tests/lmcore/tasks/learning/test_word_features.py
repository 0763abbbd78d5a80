"""Words are put together again, whatever the tokenizer cuts."""

from typing import Any

import torch

from lmcore.data.tokens.vocabularies import ByteTokenizer, WordTokenizer
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
