"""Counted words against sums by hand, and left-out texts against a count without them."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lmcore.data.vocabularies import ByteTokenizer, WordTokenizer
from lmcore.tasks.word_counts import WordCounts, fit_trust, table_size

END = 9
# Each token is a word.
PIECES = [*(f" word{chr(97 + n)}".encode() for n in range(9)), b""]


def batch(*texts: list[int]) -> tuple[Tensor, Tensor]:
    length = max(len(text) for text in texts) + 1
    tokens = torch.zeros(len(texts), length, dtype=torch.int64)
    present = torch.zeros(len(texts), length)
    for lane, text in enumerate(texts):
        tokens[lane, : len(text) + 1] = torch.tensor([END, *text])
        present[lane, : len(text) + 1] = 1
    return tokens, present


def counted(texts: list[list[int]], labels: list[int], num_labels: int = 2) -> WordCounts:
    made = WordCounts(num_labels, len(PIECES))
    made.spell(PIECES)
    made.add(*batch(*texts), torch.tensor(labels))
    return made


def test_scores_are_those_summed_by_hand() -> None:
    # Features of 'a b': a, b, (end, a), (a, b); of 'a c' likewise: six different ones in all.
    model = counted([[0, 1], [0, 2]], [0, 1])
    assert model.counts.sum().item() == 8
    b_alone, a_alone, nothing_known = model.scores(*batch([1], [0], [5]))
    # b: (1 + 1) / (4 + 6) against (0 + 1) / (4 + 6); (end, b) was never seen.
    assert b_alone.tolist() == pytest.approx([math.log(2) / 2, -math.log(2) / 2])
    assert a_alone.tolist() == [0, 0]
    assert nothing_known.tolist() == [0, 0]
    assert model(*batch([1])).tolist() == [[0, 0]]  # not trusted yet


def test_a_feature_counts_once_a_text_and_long_texts_do_not_shout() -> None:
    model = counted([[1, 1, 1, 1], [2, 2]], [0, 1])
    # 1, (end, 1), (1, 1)
    assert sorted(model.counts[model.counts.sum(1) > 0].sum(1).tolist()) == [1] * 6
    once, often = model.scores(*batch([1, 1], [1] * 50))
    assert once.tolist() == pytest.approx(often.tolist())
    assert once[0] == pytest.approx(3 * math.log(2) / math.sqrt(3) / 2)


def test_a_left_out_text_scores_as_if_it_had_not_been_counted() -> None:
    texts = [[0, 1], [0, 1], [0, 1], [2, 1], [2, 1], [0, 1, 2], [0, 1, 2]]
    labels = [0, 0, 1, 1, 1, 0, 1]
    whole = counted(texts, labels)
    for place, (text, label) in enumerate(zip(texts, labels, strict=True)):
        others = [i for i in range(len(texts)) if i != place]
        without = counted([texts[i] for i in others], [labels[i] for i in others])
        left_out = whole.scores(*batch(text), torch.tensor([label]))
        torch.testing.assert_close(left_out, without.scores(*batch(text)))
    only = counted([[5], [6]], [0, 1])
    assert only.scores(*batch([5]), torch.tensor([0])).tolist() == [[0, 0]]


def test_neighbours_and_padding_change_nothing() -> None:
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 8, size=n).tolist() for n in (3, 9, 1, 5)]
    model = counted(texts, [0, 1, 2, 0], num_labels=3)
    together = model.scores(*batch(*texts))
    for row, text in zip(together, texts, strict=True):
        torch.testing.assert_close(row, model.scores(*batch(text))[0])


def test_trust_is_what_the_left_out_texts_bear() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, size=4000)
    sign = np.where(labels == 1, 1.0, -1.0) * np.where(rng.random(4000) < 0.8, 1, -1)
    scores = np.stack([-sign, sign], axis=1)
    # Right in 80 %: log-odds of log(0.8 / 0.2), of which the scores differ by 2.
    assert fit_trust(scores, labels) == pytest.approx(math.log(4) / 2, abs=0.06)
    noise = rng.normal(size=(4000, 2))
    assert fit_trust(noise, labels) < 0.1


def test_many_classes_have_a_smaller_table() -> None:
    assert table_size(2) == 1 << 20
    assert table_size(1000) * 1000 <= 1 << 22
    assert table_size(1000) & (table_size(1000) - 1) == 0


def words_of(texts: list[str], tokenizer: Any) -> list[set[tuple[int, int]]]:
    """Each word's hash and that of the word before it."""
    model = WordCounts(2, len(tokenizer.pieces))
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
