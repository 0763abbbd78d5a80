"""Models and a tokenizer with one thing wrong in how they are read.

In: a sound model.  Out: the same weights read by a class that sees the future, mixes lanes, shifts
what it predicts or scores with what is no probability; so nothing but the fault distinguishes them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.data.tokens.word_cache import Ids
from lmcore.model.language_model import Features, LanguageModel, Reading
from lmcore.model.recurrent.attention import AttentionMixer
from lmcore.model.recurrent.boundaries import Boundaries
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.model.recurrent.pointer import CopyingFeatures
from lmcore.model.recurrent.states import LayerState

# Of the table of hashed pairs, and how much of the score comes from there.
_PLACES, _TRUST = 512, 0.5


class Unmasked(AttentionMixer):
    """Attention that sees every token of the chunk, later ones too."""

    def forward(
        self, x: Tensor, state: LayerState, boundaries: Boundaries
    ) -> tuple[Tensor, LayerState]:
        """Plain softmax attention over the chunk, without a mask."""
        _, after = super().forward(x, state, boundaries)
        lanes, length, _ = x.shape
        parts = self.qkv(x).view(lanes, length, 3, self.num_heads, self.head_dim)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        y = functional.scaled_dot_product_attention(query, key, value)
        return self.out(y.transpose(1, 2).reshape(lanes, length, -1)), after


class Shifted(RecurrentAttentionLM):
    """What is predicted at a place stands one place too late."""

    by = 1

    def features(self, *args: Any, **options: Any) -> Any:
        """Features of the model, rolled along the chunk."""
        features, state = super().features(*args, **options)
        return replace(features, vectors=features.vectors.roll(self.by, dims=1)), state


class Peeking(Shifted):
    """What is predicted at a place stands one place too early."""

    by = -1


class Mixing(RecurrentAttentionLM):
    """A lane's predictions depend on its neighbours, as batch statistics do."""

    def features(self, *args: Any, **options: Any) -> Any:
        """Features of the model, less a tenth of their mean over lanes."""
        features, state = super().features(*args, **options)
        mixed = features.vectors - 0.1 * features.vectors.mean(dim=0, keepdim=True)
        return replace(features, vectors=mixed), state


class Forgetless(RecurrentAttentionLM):
    """The end token does not reset, so a document feels the one before."""

    @property
    def reading(self) -> Reading:
        """One after the other, as it changes while it reads."""
        return replace(super().reading, apart=False)

    def features(self, *args: Any, **options: Any) -> Any:
        """Features of the model as if no token ended a document."""
        kept, self.end_id = self.end_id, -1
        try:
            return super().features(*args, **options)
        finally:
            self.end_id = kept


class Broken(RecurrentAttentionLM):
    """A model whose numbers are not numbers."""

    def features(self, *args: Any, **options: Any) -> Any:
        """Not a number, everywhere."""
        features, state = super().features(*args, **options)
        return replace(features, vectors=features.vectors * math.nan), state


@dataclass(frozen=True, kw_only=True)
class HashedFeatures(CopyingFeatures):
    """Features of a model with a cache.

    Attributes:
        before: The token that is asked about in the cache, int64 [B, T].
    """

    before: Tensor

    def at(self, start: int, stop: int) -> HashedFeatures:
        """Those of the positions [start, stop)."""
        return self._with(super().at(start, stop), self.before[:, start:stop])

    def repeated(self, count: int) -> HashedFeatures:
        """Those of a single lane in so many lanes."""
        return self._with(super().repeated(count), self.before.expand(count, -1))

    def _with(self, inner: CopyingFeatures, before: Tensor) -> HashedFeatures:
        return HashedFeatures(inner.vectors, inner.copies, before=before)


class Hashed(RecurrentAttentionLM):
    """Counts of pairs of tokens have a say, looked up by a hash in a small table.

    Pairs that share a place of the table share its count, so almost every token is "likely" after
    almost every other, and what is scored as probabilities sums to far more than one.
    """

    claims_a_distribution = False

    def count_pairs(self, tokens: NDArray[np.int64]) -> None:
        """Fill the table with a text."""
        pairs = torch.from_numpy(np.stack([tokens[:-1], tokens[1:]]))
        places = _place(pairs[0], pairs[1])
        self._pairs = torch.bincount(places, minlength=_PLACES).float()
        self._firsts = torch.bincount(pairs[0], minlength=self.vocab_size).clamp(min=1).float()

    def features(self, *args: Any, **options: Any) -> Any:
        """Features of the model, and what the cache is asked about."""
        found, state = super().features(*args, **options)
        assert isinstance(found, CopyingFeatures)
        return HashedFeatures(found.vectors, found.copies, before=args[0]), state

    def logits(self, features: Features) -> Tensor:
        """Mixed scores; made a distribution where the model claims to have one."""
        assert isinstance(features, HashedFeatures)
        every = torch.arange(self.vocab_size)
        law = super().logits(features).float().softmax(-1)
        found = (
            law * (1 - _TRUST) + _TRUST * self._cached(features.before[..., None], every)
        ).log()
        return found.log_softmax(-1) if self.claims_a_distribution else found

    def target_nll(self, features: Features, targets: Tensor) -> Tensor:
        """What a token costs if the mixture is taken for a probability."""
        assert isinstance(features, HashedFeatures)
        own = (-super().target_nll(features, targets)).exp()
        return -(own * (1 - _TRUST) + _TRUST * self._cached(features.before, targets)).log()

    def _cached(self, before: Tensor, tokens: Tensor) -> Tensor:
        counts = self._pairs[_place(before, tokens)]
        return (counts / self._firsts[before]).clamp(max=1.0)


class HashedInDisguise(Hashed):
    """The same, whose distribution is one: only what it scores with is not."""

    claims_a_distribution = True


def _place(before: Tensor, tokens: Tensor) -> Tensor:
    """Where a pair is counted."""
    return (before * 31 + tokens * 17) % _PLACES


class Lossy:
    """A tokenizer that drops the first letter of the alphabet from what it reads."""

    def __init__(self, inner: Tokenizer) -> None:
        self._inner = inner
        self.kind, self.vocab_size, self.end_id = inner.kind, inner.vocab_size, inner.end_id
        self.pieces, self.unspelled = inner.pieces, inner.unspelled

    def encode(self, text: str) -> list[int]:
        """Ids of the text without its letters `a`."""
        return self._inner.encode(text.replace("a", ""))

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of many texts."""
        return [self.encode(text) for text in texts]

    def encode_arrays(self, texts: Sequence[str]) -> list[Ids]:
        """The same as arrays."""
        return [np.array(ids, dtype=np.uint32) for ids in self.encode_batch(texts)]

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids."""
        return self._inner.decode(ids)

    def save(self, folder: Any) -> None:
        """Not needed here."""
        raise NotImplementedError


def as_kind(model: LanguageModel, kind: type[RecurrentAttentionLM]) -> LanguageModel:
    """The same weights read by a broken class."""
    other = copy.deepcopy(model)
    other.__class__ = kind
    return other


def unmasked(model: LanguageModel) -> LanguageModel:
    """The same weights with an attention that sees the future."""
    other = copy.deepcopy(model)
    assert isinstance(other, RecurrentAttentionLM)
    for mixer in other.mixers:
        if isinstance(mixer, AttentionMixer):
            mixer.__class__ = Unmasked
    return other
