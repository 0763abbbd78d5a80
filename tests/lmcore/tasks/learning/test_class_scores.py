"""Scores of classes: the same in any company, and sums of what network and words say."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lmcore.tasks.learning.class_scores import class_logits, of_examples, word_logits
from lmcore.tasks.learning.classifier import TextClassifier
from lmcore.tasks.learning.examples import Example

Make = Callable[..., Example]


@pytest.fixture
def texts(example: Make) -> list[Example]:
    """More than are read together, in no order of length."""
    rng = np.random.default_rng(0)
    return [example(rng.integers(0, 9, size=rng.integers(0, 12)).tolist()) for _ in range(75)]


def test_each_text_is_scored_as_if_it_were_alone(
    texts: list[Example], classifier: Callable[..., TextClassifier]
) -> None:
    model = classifier()
    together = class_logits(model, texts, end_id=9)
    assert together.shape == (75, 2)
    assert together.dtype == np.float64
    for place in (0, 17, 40, 74):
        assert class_logits(model, texts[place : place + 1], end_id=9)[0] == pytest.approx(
            together[place], abs=1e-5
        )


def test_words_and_network_add_up(
    texts: list[Example], classifier: Callable[..., TextClassifier]
) -> None:
    model = classifier()
    whole, words = (scores(model, texts, end_id=9) for scores in (class_logits, word_logits))
    assert np.abs(words).max() > 0.1
    model.scale(network=0.0, words=1.0)
    assert class_logits(model, texts, end_id=9) == pytest.approx(words, abs=1e-5)
    alone = classifier(words=False)
    assert class_logits(alone, texts, end_id=9) == pytest.approx(whole - words, abs=1e-4)


def test_any_score_is_asked_with_the_end_token_in_front(
    texts: list[Example], classifier: Callable[..., TextClassifier]
) -> None:
    def score(tokens: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        assert set(tokens[:, 0].tolist()) == {9}
        return torch.stack([present.sum(1), tokens.sum(1)], dim=1)

    found = of_examples(score, texts, 9, classifier(words=False))
    assert found.tolist() == [[len(t.source) + 1, int(t.source.sum()) + 9] for t in texts]
    assert of_examples(score, [], 9, classifier(words=False)).shape == (0, 2)
