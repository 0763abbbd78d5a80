"""The states of all positions of a text as one vector of bounded size.

`wide` stands for [last, mean, max] (Howard and Ruder 2018, arXiv:1801.06146), so that a word far
from the end is not lost in the last state alone, and beside them the mean of the embeddings, a bag
of words: little labelled text teaches which words matter long before it teaches how they interact.
One LayerNorm goes over them.

`standard` is for models that exist, whose last state says most.  A few of their dimensions are ten
to a thousand times as large as the others and carry no text (Sun et al. 2024, arXiv:2402.17762), so
that a norm over all of them leaves little of the rest: here each dimension of [last, mean] is
measured by its own mean and spread over training texts.  The state of the first token, which is
the same in all texts, is left out.  docs/pretrained.md has the comparison.

Legend: B lanes, T tokens, e width of the features, p width of what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmcore.model.config import Pooling
from lmcore.model.language_model import LanguageModel

# A dimension that hardly differs between texts says nothing, and would be noise made large.
_LEAST_SPREAD = 1e-2
_FAR = 10.0


def pooled(model: LanguageModel, tokens: Tensor, features: Tensor, present: Tensor) -> Tensor:
    """The vector of `wide`, [B, p], before its norm.

    Args:
        model: Whose features they are.
        tokens: int64 [B, T].
        features: Of each position, float32 [B, T, e].
        present: 1 for tokens, 0 for padding, [B, T].
    """
    count = present.sum(1, keepdim=True)
    mean = (features * present[..., None]).sum(1) / count
    top = features.masked_fill(present[..., None] == 0, -torch.inf).amax(1)
    embedded = model.embedded(tokens)
    embedded = functional.layer_norm(embedded, embedded.shape[-1:]).float()
    bag = (embedded * present[..., None]).sum(1) / count
    return torch.cat([_last(features, count), mean, top, bag], dim=1)


def last_and_mean(features: Tensor, present: Tensor) -> Tensor:
    """The vector of `standard`, [B, p], before it is measured; see `pooled`."""
    count = present.sum(1, keepdim=True)
    inside = present.clone()
    inside[:, 0] = 0
    mean = (features * inside[..., None]).sum(1) / (count - 1).clamp(min=1)
    return torch.cat([_last(features, count), mean], dim=1)


def _last(features: Tensor, count: Tensor) -> Tensor:
    place = (count - 1).long()[..., None].expand(-1, -1, features.shape[2])
    return features.gather(1, place)[:, 0]


class Standardised(nn.Module):
    """Each dimension less its mean, over its spread, as training texts have them.

    Args:
        width: p.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Of vectors [B, p]; one that is unlike all texts stays bounded."""
        return ((x - self.center) / self.spread).clamp(-_FAR, _FAR)

    @torch.no_grad()
    def fit(self, vectors: Iterable[Tensor]) -> None:
        """Measure vectors [B, p] of training texts, two at least."""
        every = torch.cat(list(vectors)).double()
        spread = every.std(0, correction=0)
        self.center.copy_(every.mean(0))
        # Of the middle one: the large ones would drown the others here too.
        self.spread.copy_(spread.clamp(min=max(1e-6, _LEAST_SPREAD * float(spread.median()))))


def make_norm(pooling: Pooling, model: LanguageModel) -> tuple[nn.Module, int]:
    """What a classifier's head reads through, and how wide that is."""
    width = model.feature_width
    if pooling == "standard":
        return Standardised(2 * width), 2 * width
    width = 3 * width + model.token_vectors.shape[1]
    return nn.LayerNorm(width), width
