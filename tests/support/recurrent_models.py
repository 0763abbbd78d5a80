"""Small models from random weights over eleven tokens, and tokens for them."""

import torch

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM

VOCAB = 11
END = 10


def make_model(
    pattern: str = "LA",
    *,
    window: int = 5,
    tied: bool = False,
    seed: int = 0,
    d_model: int = 16,
    pointer: bool = False,
) -> RecurrentAttentionLM:
    """A small model whose zero-initialised parts are random too, so that they matter."""
    config = ModelConfig(
        pattern=pattern,
        d_model=d_model,
        embedding_dim=8,
        num_heads=2,
        head_dim=4,
        window=window,
        tie_embeddings=tied,
        pointer=pointer,
    )
    torch.manual_seed(seed)
    model = RecurrentAttentionLM(config, VOCAB, END)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3)
    return model.eval()


def random_tokens(shape: tuple[int, int], *, seed: int, ends: float) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, END, shape, generator=rng)
    return torch.where(torch.rand(shape, generator=rng) < ends, END, tokens)
