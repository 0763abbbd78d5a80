"""Models that were never trained."""

from collections.abc import Callable

import pytest
import torch

from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM


@pytest.fixture(scope="session")
def model_for() -> Callable[..., RecurrentAttentionLM]:
    """A small model for a tokenizer; at scale zero, every token costs the same."""

    def make(tokenizer: Tokenizer, scale: float = 0.0) -> RecurrentAttentionLM:
        torch.manual_seed(0)
        shape = ModelConfig(pattern="LA", d_model=16, head_dim=8, window=8)
        model = RecurrentAttentionLM(shape, tokenizer.vocab_size, tokenizer.end_id)
        with torch.no_grad():
            model.head_weight.normal_(std=scale)
        return model.eval()

    return make
