"""A stored model of an earlier release is read as the same function."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from lmcore.model.config import ModelConfig
from lmcore.model.factory import load_model, save_model
from lmcore.model.recurrent.model import RecurrentAttentionLM

END = 10
VOCAB = 11


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


def test_a_model_of_before_the_bias_is_the_same_function(tmp_path: Path) -> None:
    model = make_model()
    with torch.no_grad():
        model.head_bias.zero_()
    save_model(model, tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["head_bias"]
    save_file(weights, path)
    tokens = random_tokens((2, 7), seed=0, ends=0.1)
    assert torch.equal(load_model(tmp_path)(tokens)[0], model(tokens)[0])
