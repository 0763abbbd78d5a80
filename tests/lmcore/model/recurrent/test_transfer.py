"""A model that starts from another: the same answers, and a new token that disturbs none."""

import pytest
import torch

from lmcore.errors import ConfigError
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.model.recurrent.transfer import copy_weights


def make(
    vocab_size: int, *, d_model: int = 16, cutoffs: tuple[int, ...] = ()
) -> RecurrentAttentionLM:
    config = ModelConfig(
        pattern="LA", d_model=d_model, num_heads=1, head_dim=8, window=4, cutoffs=cutoffs
    )
    model = RecurrentAttentionLM(config, vocab_size, 9).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


@pytest.mark.parametrize("cutoffs", [(), (4, 7)])
@torch.no_grad()
def test_a_new_token_is_as_unlikely_as_the_least_likely_one(cutoffs: tuple[int, ...]) -> None:
    source, target = make(10, cutoffs=cutoffs), make(11, cutoffs=cutoffs)
    copy_weights(source, target)
    assert torch.equal(target.head_bias[:10], source.head_bias[:10])
    assert target.head_bias[10] == source.head_bias[:10].min()
    assert torch.equal(target.head_bias[11:], source.head_bias[10:])
    tokens = torch.tensor([[9, 3, 1, 4, 1, 5]])
    if not cutoffs:
        logits, _ = target(tokens)
        torch.testing.assert_close(logits[..., :10], source(tokens)[0])


@torch.no_grad()
def test_a_pointer_that_the_source_lacks_keeps_its_beginning() -> None:
    config = make(10).config.model_copy(update={"pointer": True})
    target = RecurrentAttentionLM(config, 10, 9)
    assert target.pointer is not None
    before = target.pointer.project.weight.clone()
    source = make(10)
    copy_weights(source, target)
    assert torch.equal(target.pointer.project.weight, before)
    assert torch.equal(target.embedding.weight, source.embedding.weight)


def test_another_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match="start from a model of the same shape"):
        copy_weights(make(10), make(10, d_model=24))
