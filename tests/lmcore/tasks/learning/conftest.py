"""Examples of ten tokens, and classifiers that read them."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model
from lmcore.tasks.learning.classifier import TextClassifier
from lmcore.tasks.learning.examples import Example
from lmcore.tasks.learning.objectives import count_words

END = 9
# Each token is a word.
PIECES = [*(f" word{chr(97 + n)}".encode() for n in range(9)), b""]


def make_example(source: list[int], target: Sequence[int] = (), *, cut: bool = False) -> Example:
    return Example(
        source=np.array(source, dtype=np.int32),
        target=np.array(target, dtype=np.int32),
        truncated=False,
        target_truncated=cut,
    )


@pytest.fixture
def example() -> Callable[..., Example]:
    return make_example


@pytest.fixture
def pieces() -> list[bytes]:
    return PIECES


@pytest.fixture
def classifier() -> Callable[..., TextClassifier]:
    """Makes classifiers of ten tokens whose network has random weights."""

    def make(*, words: bool = True, dropout: float = 0.0, num_labels: int = 2) -> TextClassifier:
        shape = ModelConfig(
            **{"pattern": "LA", "d_model": 16, "num_heads": 2, "head_dim": 8, "window": 8},
            **{"embedding_dim": 8, "dropout": dropout},
        )
        network = new_model(shape, vocab_size=len(PIECES), end_id=END, seed=0, device="cpu")
        texts = [make_example([n % num_labels, 3 + n % 5, 3 + n % 6]) for n in range(90)]
        labels = [n % num_labels for n in range(90)]
        counts = None
        if words:
            counts = count_words(texts, labels, num_labels=num_labels, pieces=PIECES, end_id=END)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return TextClassifier(network, num_labels, counts).eval()

    return make
