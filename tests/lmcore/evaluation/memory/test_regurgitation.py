import math

import numpy as np
import pytest
import torch

from lmcore.evaluation.memory.regurgitation import (
    EXTRACTABLE_NATS,
    PREFIX_TOKENS,
    SUFFIX_TOKENS,
    WindowBook,
    free_samples,
)
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import Reading
from lmcore.model.recurrent.model import RecurrentAttentionLM


def test_extractable_means_even_odds_in_a_hundred_tries():
    probability = math.exp(-EXTRACTABLE_NATS)
    assert 1 - (1 - probability) ** 100 == pytest.approx(0.5)
    assert abs(EXTRACTABLE_NATS - 4.975) < 1e-3


def cut(nats, counted=None):
    book = WindowBook()
    book.add("c", np.asarray(nats, dtype=np.float32), counted=counted)
    return book.windows()


@pytest.mark.parametrize(
    ("tokens", "windows"), [(0, 0), (99, 0), (100, 1), (149, 1), (150, 2), (1_000, 19)]
)
def test_windows_stand_side_by_side_behind_a_prefix(tokens, windows):
    assert len(cut(np.ones(tokens + 1))) == windows


def test_a_window_costs_what_its_tokens_cost():
    nats = np.arange(151.0)
    assert cut(nats).nats.tolist() == [sum(range(50, 100)), sum(range(100, 150))]
    assert cut(np.full(101, 0.09)).extractable.tolist() == [True]  # 4.5 nats
    assert cut(np.full(101, 0.11)).extractable.tolist() == [False]


@pytest.mark.parametrize(
    ("missing", "kept"), [(0, 1), (49, 1), (50, 0), (99, 0), (149, 1), (150, 2)]
)
def test_prefix_and_window_must_have_been_read(missing, kept):
    counted = np.ones(151, dtype=bool)
    counted[missing] = False
    assert len(cut(np.ones(151), counted)) == kept
    assert PREFIX_TOKENS == SUFFIX_TOKENS == 50


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = ModelConfig(pattern="LA", d_model=16, num_heads=1, head_dim=8, window=8)
    made = RecurrentAttentionLM(config, 12, 11)
    with torch.no_grad():
        made.head.weight.normal_(0, 0.5)
    return made.eval()


def test_samples_are_seeded_and_of_the_vocabulary(model):
    drawn = free_samples(model, count=7, num_tokens=9, seed=3)
    assert drawn.shape == (7, 9)
    assert drawn.min() >= 0
    assert drawn.max() < 12
    assert (drawn == free_samples(model, count=7, num_tokens=9, seed=3)).all()
    assert (drawn != free_samples(model, count=7, num_tokens=9, seed=4)).any()


class Narrow(RecurrentAttentionLM):
    """Writes few texts side by side, and remembers how many were asked for."""

    asked = 0

    @property
    def reading(self):
        return Reading(lanes=3)

    def fresh_state(self, batch_size):
        self.asked = max(self.asked, batch_size)
        return super().fresh_state(batch_size)


def test_no_more_samples_stand_side_by_side_than_suit_the_model(model):
    narrow = Narrow(model.config, 12, 11)
    narrow.load_state_dict(model.state_dict())
    drawn = free_samples(narrow.eval(), count=7, num_tokens=9, seed=3)
    assert drawn.shape == (7, 9)
    assert narrow.asked == 3
    assert (drawn == free_samples(narrow, count=7, num_tokens=9, seed=3)).all()
    assert (drawn[:3] == free_samples(narrow, count=3, num_tokens=9, seed=3)).all()
    assert len({tuple(row) for row in drawn.tolist()}) == 7


def test_samples_follow_the_model_at_its_temperature(model):
    drawn = free_samples(model, count=20_000, num_tokens=1, seed=0)[:, 0]
    logits = model(torch.tensor([[model.end_id]]))[0][0, -1]
    expected = (logits / 0.8).softmax(-1).detach().numpy()
    observed = np.bincount(drawn, minlength=12) / len(drawn)
    assert observed == pytest.approx(expected, abs=5 * np.sqrt(0.25 / len(drawn)))
