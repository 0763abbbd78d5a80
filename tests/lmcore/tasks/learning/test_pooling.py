"""A text's states become one vector in which no dimension drowns the others."""

import pytest
import torch

from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model
from lmcore.tasks.learning.pooling import Standardised, last_and_mean, make_norm, pooled

FEATURES = torch.tensor(
    [
        [[9.0, 9.0], [1.0, 2.0], [3.0, 6.0], [7.0, 7.0]],
        [[9.0, 9.0], [5.0, 4.0], [0.0, 0.0], [7.0, 7.0]],
    ]
)
PRESENT = torch.tensor([[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]])


def test_last_and_mean_leave_out_the_first_token_and_padding() -> None:
    found = last_and_mean(FEATURES, PRESENT)
    assert found.tolist() == [[3, 6, 2, 4], [5, 4, 5, 4]]
    nothing = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert last_and_mean(FEATURES[:1], nothing).tolist() == [[9, 9, 0, 0]]


def test_the_wide_vector_has_four_parts() -> None:
    shape = ModelConfig(pattern="L", d_model=16, num_heads=2, head_dim=8, embedding_dim=8)
    model = new_model(shape, vocab_size=11, end_id=9, seed=0, device="cpu")
    found = pooled(model, torch.tensor([[9, 1, 2, 0], [9, 3, 0, 0]]), FEATURES, PRESENT)
    width = model.token_vectors.shape[1]
    assert found.shape == (2, 6 + width)
    assert found[0, :6].tolist() == pytest.approx([3, 6, 13 / 3, 17 / 3, 9, 9])
    norm, size = make_norm("wide", model)
    assert (type(norm).__name__, size) == ("LayerNorm", 3 * model.feature_width + width)
    norm, size = make_norm("standard", model)
    assert (type(norm).__name__, size) == ("Standardised", 2 * model.feature_width)


def test_dimensions_are_measured_one_by_one_over_all_batches() -> None:
    rng = torch.Generator().manual_seed(0)
    texts = torch.randn(200, 5, generator=rng) * torch.tensor([1e3, 1.0, 1.0, 1e-4, 0.0])
    texts += torch.tensor([-1e4, 2.0, 0.0, 0.0, 5.0])
    norm = Standardised(5)
    norm.fit(texts.split(32))
    found = norm(texts)
    torch.testing.assert_close(found[:, :3].mean(0), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(found[:, :3].std(0), torch.ones(3), atol=0.01, rtol=0)
    # What hardly differs between texts is not made large.
    assert float(found[:, 3:].abs().max()) < 0.1
    assert float(norm(texts + 1e9).abs().max()) == 10.0
    assert torch.isfinite(norm(texts)).all()
    # It is stored with the rest.
    assert set(norm.state_dict()) == {"center", "spread"}


def test_one_text_is_enough_for_a_finite_answer() -> None:
    norm = Standardised(2)
    norm.fit([torch.tensor([[1.0, 2.0]])])
    assert norm(torch.tensor([[1.0, 2.0]])).tolist() == [[0.0, 0.0]]
