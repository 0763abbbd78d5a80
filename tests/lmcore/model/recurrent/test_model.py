"""The shape, the size and the dropout of a model from random weights."""

from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from recurrent_models import END, VOCAB, make_model, random_tokens

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM


@pytest.mark.parametrize("pointer", [False, True])
@torch.no_grad()
def test_memory_is_constant_over_many_tokens_and_numbers_stay_finite(pointer: bool) -> None:
    model = make_model("LA", window=7, pointer=pointer)
    token = torch.tensor([[1]])
    state = model.fresh_state(1)
    size = state.nbytes
    with torch.inference_mode():
        for _ in range(2000):
            logits, state = model(token, state)
            token = logits[:, -1:].argmax(-1) % END
            assert state.nbytes == size
    copied = 7 * 4 * 4 + 7 * 8 + 4 * 4 + 7
    assert size == (16 + 16) * 4 + 2 * (2 * 7 * 4 * 4) + 7 + pointer * copied
    assert torch.isfinite(logits).all()


def test_a_new_model_is_uniform_over_the_vocabulary_when_untied() -> None:
    config = ModelConfig(d_model=16, head_dim=4)
    logits, _ = RecurrentAttentionLM(config, 300, 299)(torch.zeros(1, 3, dtype=torch.long))
    assert not logits.any()


def test_tied_from_1024_tokens() -> None:
    config = ModelConfig(d_model=16, head_dim=4)
    small = RecurrentAttentionLM(config, 1023, 1022)
    large = RecurrentAttentionLM(config, 1024, 1023)
    assert small.head is not None
    assert large.head is None
    assert large.head_weight is large.embedding.weight


def test_dropout_needs_a_rng_and_repeats_with_it() -> None:
    config = ModelConfig(d_model=16, head_dim=4, dropout=0.5)
    model = RecurrentAttentionLM(config, VOCAB, END)
    torch.nn.init.normal_(model.head_weight)
    tokens = random_tokens((2, 6), seed=0, ends=0.0)
    plain = model(tokens)[0]
    assert torch.equal(plain, model(tokens)[0])
    first = model(tokens, rng=torch.Generator().manual_seed(1))[0]
    assert not torch.allclose(first, plain)
    assert torch.equal(first, model(tokens, rng=torch.Generator().manual_seed(1))[0])


def test_end_id_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="end_id=11"):
        RecurrentAttentionLM(ModelConfig(), 11, 11)


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("pattern", ["LA", "LL", "AA", "ALA"])
@torch.inference_mode()
def test_steps_are_to_the_last_bit_what_the_layers_say(
    pattern: str, settled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ModelConfig(
        pattern=pattern, d_model=128, embedding_dim=64, num_heads=2, head_dim=32, window=8
    )
    model, layered = (RecurrentAttentionLM(config, 1100, 7).eval() for _ in range(2))
    for own, same in zip(model.parameters(), layered.parameters(), strict=True):
        same.copy_(own.normal_(std=0.2))
    if settled:
        model.settle()
        layered.settle()
    step = MagicMock(wraps=model._step)
    monkeypatch.setattr(model, "_step", step)
    monkeypatch.setattr(layered, "_can_step", lambda *_: False)
    rng = torch.Generator().manual_seed(2)
    prompts = torch.randint(8, 1100, (3, 5), generator=rng)
    state = model.stepping(model(prompts, model.fresh_state(3))[1])
    other = state.select([0, 1, 2])
    for turn in range(20):  # twice round the ring
        tokens = torch.randint(8, 1100, (3, 1), generator=rng)
        if turn == 12:
            tokens[1] = model.end_id  # starts a document, so the layers are asked
        logits, state = model(tokens, state)
        expected, other = layered(tokens, other)
        assert torch.equal(logits, expected)
        for mine, theirs in zip(state.tensors(), other.tensors(), strict=True):
            assert torch.equal(mine, theirs)
    assert step.call_count == 19


@pytest.mark.parametrize("changes", [{"pattern": "RA"}, {"pattern": "LA", "pointer": True}])
@torch.inference_mode()
def test_layers_without_steps_of_their_own_are_asked_as_ever(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ModelConfig(d_model=16, num_heads=1, head_dim=8, window=8, **changes)
    model = RecurrentAttentionLM(config, 20, 7).eval()
    monkeypatch.setattr(model, "_step", None)
    logits, _ = model(torch.tensor([[9]]), model.stepping(model.fresh_state(1)))
    assert torch.isfinite(logits).all()
