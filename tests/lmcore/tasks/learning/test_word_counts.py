"""Counted words against sums by hand and scikit-learn, and held-out texts against their own fit."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from torch.nn import functional

from lmcore.tasks.learning import word_counts
from lmcore.tasks.learning.word_counts import WordCounts, _fit, fit_trust

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
    made.features.spell(PIECES)
    made.fit([(*batch(*texts), torch.tensor(labels))])
    return made


def random_texts(rng: np.random.Generator, count: int) -> tuple[list[list[int]], list[int]]:
    """Texts of two classes that use some words more than others."""
    labels = rng.integers(0, 2, size=count).tolist()
    chances = [[4, 1, 2, 2, 2, 2, 1, 1], [1, 4, 2, 2, 2, 2, 1, 1]]
    return [
        rng.choice(8, p=np.array(chances[label]) / 15, size=rng.integers(2, 7)).tolist()
        for label in labels
    ], labels


def test_log_count_ratios_are_those_summed_by_hand() -> None:
    # Three texts of four features; columns: how many texts of a class have each.
    known = sparse.csr_matrix(np.array([[1.0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 3, 3, 0]]))
    found = _fit(known, np.array([1, 1, 0]), num_labels=2)
    # Class 1 has 2, 1, 1, 0 of 4, class 0 has 0, 1, 1, 0 of 2; each one more; three features occur.
    right = [
        math.log(3 / 7 / (1 / 5)),
        math.log(2 / 7 / (2 / 5)),
        math.log(2 / 7 / (2 / 5)),
        0.0,
    ]
    assert found.ratios[:, 1].tolist() == pytest.approx(right)
    assert found.ratios[:, 0].tolist() == pytest.approx([-value for value in right])
    weights, offset = found.mixed(0.0)
    assert weights == pytest.approx(found.ratios * found.mean)
    assert offset.tolist() == [0, 0]
    weights, offset = found.mixed(1.0)
    assert weights == pytest.approx(found.learnt)
    assert offset == pytest.approx(found.offset)


def test_weights_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    texts, labels = random_texts(rng, 200)
    model = counted(texts, labels)
    rows = [sorted({*t, *(9 + a * 10 + b for a, b in pairwise([END, *t]))}) for t in texts]
    size = 9 + 110
    dense = np.zeros((len(rows), size))
    for place, row in enumerate(rows):
        dense[place, row] = 1
    wanted = np.array(labels)
    inside, outside = dense[wanted == 1].sum(0), dense[wanted == 0].sum(0)
    room = ((inside + outside) > 0).sum()
    ratio = np.log((inside + 1) / (inside.sum() + room) / ((outside + 1) / (outside.sum() + room)))
    scaled = dense / np.sqrt(dense.sum(1, keepdims=True))
    logistic = LogisticRegression(C=30, solver="liblinear").fit(scaled * ratio, wanted)
    learnt = logistic.coef_[0]
    mean = np.abs(learnt[(inside + outside) >= 3]).mean()
    given = model.scores(*batch(*texts)).double().numpy()
    right = [
        scaled @ (ratio * ((1 - share) * mean + share * learnt)) + share * logistic.intercept_[0]
        for share in (0, 0.1, 0.25, 0.5)
    ]
    far = [np.abs(given[:, 1] - given[:, 0] - 2 * scores).max() for scores in right]
    assert min(far) < 1e-3


def test_a_feature_counts_once_a_text_and_long_texts_do_not_shout() -> None:
    model = counted([[1, 1, 1, 1], [2, 2], [1, 3], [2, 4]], [0, 1, 0, 1])
    once, often = model.scores(*batch([1, 1], [1] * 50))
    assert once.tolist() == pytest.approx(often.tolist())
    assert once[0] > once[1]


def test_a_training_text_is_scored_by_a_model_that_has_not_seen_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # How far the regression is trusted is what all parts decide together.
    monkeypatch.setattr(word_counts, "_SHARES", (0.25,))
    texts, labels = random_texts(np.random.default_rng(5), 60)
    model = counted(texts, labels)
    parts = model.features.part(*model.features(*batch(*texts)), count=5).tolist()
    assert set(parts) == set(range(5))
    # Other labels of a part change nothing of what its own texts get.
    for part in range(5):
        other = [1 - label if p == part else label for p, label in zip(parts, labels, strict=True)]
        changed = counted(texts, other)
        own = batch(*(text for text, p in zip(texts, parts, strict=True) if p == part))
        torch.testing.assert_close(*(m.scores(*own, held_out=True) for m in (model, changed)))
        assert not torch.allclose(model.scores(*own), changed.scores(*own))
    assert not torch.allclose(
        model.scores(*batch(*texts)), model.scores(*batch(*texts), held_out=True)
    )
    # Copies of a text stand together.
    twice = model.features.part(*model.features(*batch(texts[0], texts[0])), count=5)
    assert twice[0] == twice[1]


def test_few_texts_or_one_class_in_a_part_are_no_obstacle() -> None:
    for texts, labels in (([[1]], [0]), ([[1], [1]], [0, 1]), ([[1], [2], []], [0, 1, 1])):
        model = counted(texts, labels)
        assert torch.isfinite(model.scores(*batch(*texts), held_out=True)).all()
        assert torch.isfinite(model(*batch(*texts))).all()


def test_what_is_stored_scores_the_same_and_holds_nothing_out() -> None:
    texts, labels = random_texts(np.random.default_rng(6), 40)
    model = counted(texts, labels)
    again = WordCounts(2, len(PIECES), len(model.keys))
    again.load_state_dict(model.state_dict())
    assert torch.equal(model(*batch(*texts)), again(*batch(*texts)))
    assert again.held_weights.numel() == 0


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
    trust, loss = fit_trust(scores, labels)
    assert trust == pytest.approx(math.log(4) / 2, abs=0.06)
    assert loss == pytest.approx(-0.8 * math.log(0.8) - 0.2 * math.log(0.2), abs=0.03)
    noise = rng.normal(size=(4000, 2))
    assert fit_trust(noise, labels)[0] < 0.1


def test_of_too_many_features_the_most_frequent_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [[0, n] for n in range(1, 9)] * 2 + [[8]]
    monkeypatch.setattr(word_counts, "_MAX_CELLS", 2 * 4)
    model = counted(texts, [n % 2 for n in range(len(texts))])
    assert len(model.keys) == 4
    found, valid = model.features(*batch([0]))
    assert valid.sum() == 2  # the word, and that it begins the text
    assert torch.isin(found[valid], model.keys).all()


@pytest.mark.parametrize("start", [0.3, 0.0, -0.3])
def test_trust_never_counts_below_zero_and_comes_back(start: float) -> None:
    texts, labels = random_texts(np.random.default_rng(7), 200)
    model = counted(texts, labels)
    given = batch(*texts)
    with torch.no_grad():
        model.trust.fill_(start)
    torch.testing.assert_close(model(*given), max(start, 0.0) * model.scores(*given))

    def slope(wanted: list[int]) -> float:
        """What one more of trust does to the loss."""
        model.zero_grad()
        functional.cross_entropy(model(*given), torch.tensor(wanted)).backward()
        assert model.trust.grad is not None
        return float(model.trust.grad)

    right, wrong = slope(labels), slope([1 - label for label in labels])
    assert right < 0
    assert wrong > 0 if start > 0 else wrong == 0
