"""Start a model from the weights of another: the same shape, and at least its vocabulary.

Rows of tokens that only the new model knows keep what they were initialised with, so a task can
add a token of its own behind the end token without disturbing the rest; so does a pointer that only
the new model has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lmcore.errors import ConfigError
from lmcore.model.config import ModelConfig

if TYPE_CHECKING:
    from lmcore.model.recurrent.model import RecurrentAttentionLM

_ROWS_BY_TOKEN = ("embedding.weight", "head.weight")
_BIAS = "head_bias"
_POINTER = "pointer."


def shape_of(model: RecurrentAttentionLM) -> ModelConfig:
    """The configuration with all that a size of vocabulary would decide written out."""
    return model.config.model_copy(
        update={
            "tie_embeddings": model.tied,
            "embedding_dim": model.embedding.embedding_dim,
            "cutoffs": tuple(model.cutoffs),
        }
    )


@torch.no_grad()
def copy_weights(source: RecurrentAttentionLM, target: RecurrentAttentionLM) -> None:
    """Overwrite the weights of `target` by those of `source`.

    Raises:
        ConfigError: If their shapes do not fit.
    """
    own, given = target.state_dict(), source.state_dict()
    for name, tensor in own.items():
        value = given.get(name)
        if value is None and name.startswith(_POINTER):
            continue
        if name == _BIAS and value is not None:
            value = _widened(value, source.vocab_size, target.vocab_size)
        rows = len(value) if value is not None and name in _ROWS_BY_TOKEN else None
        place = tensor if rows is None else tensor[:rows]
        if value is None or place.shape != value.shape:
            found = "nothing" if value is None else f"shape {tuple(value.shape)}"
            raise ConfigError(
                f"the weights to start from hold {found} for {name}, and the model needs"
                f" {tuple(tensor.shape)}; start from a model of the same shape"
            )
        place.copy_(value)


def _widened(bias: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """The bias of the tokens and classes; a new token is as unlikely as the least likely one."""
    tokens, classes = bias[:before], bias[before:]
    return torch.cat([tokens, tokens.min().expand(max(0, after - before)), classes])
