"""Small models of every kind, whose weights are random everywhere, for tests about any of them."""

from __future__ import annotations

import functools
import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from pretrained_models import KINDS as PRETRAINED
from pretrained_models import VOCAB_SIZE, make_base

from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.model.config import ModelConfig, PretrainedConfig
from lmcore.model.factory import new_model
from lmcore.model.language_model import LanguageModel
from lmcore.model.pretrained.base import Base

#: Tokens that the pretrained ones read together: documents of tests are longer.
CONTEXT = 16
_missing = importlib.util.find_spec("transformers") is None
#: Kinds to be given to `language_model`: from random weights, and each pretrained architecture.
KINDS = [
    "scratch",
    *(
        pytest.param(
            kind, marks=pytest.mark.skipif(_missing, reason="the extra `pretrained` is missing")
        )
        for kind in PRETRAINED
    ),
]


def language_model(
    kind: str,
    *,
    seed: int = 0,
    vocab_size: int = VOCAB_SIZE,
    end_id: int = 7,
    adapt: str = "full",
    **shape: Any,
) -> LanguageModel:
    """A small model; `shape` changes the configuration of one from random weights."""
    if kind == "scratch":
        small = {"pattern": "LRA", "d_model": 16, "num_heads": 2, "head_dim": 4, "window": 5}
        config = ModelConfig.model_validate({**small, "embedding_dim": 8, **shape})
        model = new_model(config, vocab_size=vocab_size, end_id=end_id, seed=seed, device="cpu")
    else:
        pretrained = PretrainedConfig.model_validate(
            {"pretrained": kind, "context": CONTEXT, "adapt": adapt}
        )
        model = new_model(
            pretrained,
            vocab_size=VOCAB_SIZE,
            end_id=end_id,
            seed=seed,
            device="cpu",
            base=tiny_base(kind).path,
        )
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and not parameter.any():
                parameter.normal_(std=0.3, generator=rng)  # what starts at zero matters, too
    return model.eval()


def random_tokens(
    model: LanguageModel, shape: tuple[int, int], *, seed: int, ends: float
) -> torch.Tensor:
    """Tokens [B, T] of which so large a share are end tokens."""
    rng = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, model.vocab_size - 1, shape, generator=rng)
    tokens += tokens >= model.end_id
    return torch.where(torch.rand(shape, generator=rng) < ends, model.end_id, tokens)


def tokenizer_of(kind: str) -> Tokenizer:
    """A tokenizer that fits `language_model` of this kind with its `end_id`."""
    if kind == "scratch":
        return ByteTokenizer()
    from lmcore.data.tokens.borrowed import BorrowedTokenizer

    source = (tiny_base(kind).path / "tokenizer.json").read_text(encoding="utf-8")
    return BorrowedTokenizer(source, vocab_size=VOCAB_SIZE, end_id=0)


@functools.cache
def tiny_base(kind: str) -> Base:
    """The imported base of an architecture, made once in a process."""
    return make_base(Path(_folder().name), kind)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tiny-bases-")
