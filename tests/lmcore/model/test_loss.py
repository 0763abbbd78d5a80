import math

import pytest
import torch

from lmcore.model.config import ModelConfig
from lmcore.model.loss import sequence_loss, token_nll
from lmcore.model.recurrent import head as module
from lmcore.model.recurrent.model import RecurrentAttentionLM

VOCAB = 11


@pytest.fixture
def model() -> RecurrentAttentionLM:
    torch.manual_seed(0)
    model = RecurrentAttentionLM(ModelConfig(d_model=16, head_dim=4), VOCAB, VOCAB - 1)
    torch.nn.init.normal_(model.head_weight)
    return model


def test_token_nll_by_hand() -> None:
    logits = torch.tensor([[[0.0, math.log(3.0)]]])
    assert token_nll(logits, torch.tensor([[1]])).item() == pytest.approx(math.log(4 / 3))
    assert token_nll(logits, torch.tensor([[0]])).item() == pytest.approx(math.log(4))


def test_an_untrained_model_costs_the_log_of_the_vocabulary() -> None:
    model = RecurrentAttentionLM(ModelConfig(d_model=16, head_dim=4), VOCAB, VOCAB - 1)
    tokens = torch.zeros(2, 5, dtype=torch.long)
    result = sequence_loss(model, tokens, tokens)
    assert result.sum_nll.item() == pytest.approx(10 * math.log(VOCAB), rel=1e-6)
    assert result.sum_weight.item() == 10


def test_rows_in_parts_equal_the_whole_with_gradients(
    model: RecurrentAttentionLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = torch.randint(0, VOCAB, (3, 8))
    targets = torch.randint(0, VOCAB, (3, 8))
    gradients = []
    for rows in (5, 1024):
        monkeypatch.setattr(module, "_ROWS", rows)
        model.zero_grad()
        result = sequence_loss(model, tokens, targets)
        result.sum_nll.backward()
        gradients.append([result.sum_nll, *(p.grad for p in model.parameters())])
    for first, second in zip(*gradients, strict=True):
        assert torch.allclose(first, second, atol=1e-5)
    expected = token_nll(model(tokens)[0], targets).sum()
    assert torch.allclose(result.sum_nll, expected)


def test_weights_select_targets(model: RecurrentAttentionLM) -> None:
    tokens = torch.randint(0, VOCAB, (2, 6))
    weights = torch.tensor([[0.0, 1, 1, 0.5, 0, 0], [1, 0, 0, 0, 0, 0]])
    result = sequence_loss(model, tokens, tokens, weights=weights)
    expected = (token_nll(model(tokens)[0], tokens) * weights).sum()
    assert torch.allclose(result.sum_nll, expected)
    assert result.sum_weight.item() == 3.5
