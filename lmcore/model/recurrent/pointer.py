"""Copy what stands earlier in the document, beside writing from the vocabulary.

In: features of each token. Out: a score for each earlier place, and one for the vocabulary as a
whole; one softmax over all of them shares the probability,

    p(w) = p(vocabulary) p(w | vocabulary) + sum of p(place) over the places where w stands

(pointer sentinel mixture; Merity et al. 2016, arXiv:1609.07843). So a name that the vocabulary
hardly knows is as easy to write as to find, in a language model and behind the source of a task
alike. A place is known by what led to it and by what it is: its key is made of the features before
and after its token, so that a copied passage can be followed on, and a word be found by itself.

Legend: B lanes, T tokens, W window, R places of the ring (W, or none), J = R + T places, D width of
a key, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmcore.model.config import ModelConfig
from lmcore.model.language_model import Features
from lmcore.model.recurrent.attention import near
from lmcore.model.recurrent.boundaries import Boundaries
from lmcore.model.recurrent.states import PointerRing, PointerState

# Score of a place that cannot be seen: its share is exactly zero, and unlike with minus infinity
# the gradient of a row without any place is a number.
_NEVER = -1.0e9
# What is in favour of the vocabulary at first, beyond a uniform choice among all places: copying
# begins with one part in twenty.
_RESERVE = 3.0


class Copies(NamedTuple):
    """How likely it is to copy from each place, as scores of one softmax with the vocabulary.

    Attributes:
        scores: Of the places, float32 [B, T, J], or [B, J] of one position.
        anew: Of the vocabulary, float32 [B, T], or [B].
        tokens: What stands at each place, int64 [B, J].
    """

    scores: Tensor
    anew: Tensor
    tokens: Tensor

    def last(self) -> Copies:
        """Those of the last position."""
        return Copies(scores=self.scores[:, -1], anew=self.anew[:, -1], tokens=self.tokens)

    def at(self, start: int, stop: int) -> Copies:
        """Those of the positions [start, stop)."""
        return Copies(
            scores=self.scores[:, start:stop], anew=self.anew[:, start:stop], tokens=self.tokens
        )

    def repeated(self, count: int) -> Copies:
        """Those of a single lane in so many lanes."""
        return Copies(*(part.expand(count, *part.shape[1:]) for part in self))

    def total(self) -> Tensor:
        """Logarithm of the softmax's divisor, [B, T] or [B]."""
        return torch.logaddexp(self.anew, self.scores.logsumexp(-1))

    def standing(self) -> Tensor:
        """The tokens, so that they broadcast against scores."""
        return self.tokens[:, None] if self.scores.dim() == 3 else self.tokens


@dataclass(frozen=True)
class CopyingFeatures(Features):
    """What the distribution follows from where tokens can be copied.

    Attributes:
        vectors: What the head reads, [B, T, e] tied or [B, T, d]; [B, e] of one position.
        copies: What may be copied; None without a pointer.
    """

    copies: Copies | None

    def last(self) -> CopyingFeatures:
        """Those of the last position."""
        copies = self.copies.last() if self.copies else None
        return CopyingFeatures(self.vectors[:, -1], copies)

    def at(self, start: int, stop: int) -> CopyingFeatures:
        """Those of the positions [start, stop)."""
        copies = self.copies.at(start, stop) if self.copies else None
        return CopyingFeatures(self.vectors[:, start:stop], copies)

    def repeated(self, count: int) -> CopyingFeatures:
        """Those of a single lane in so many lanes."""
        copies = self.copies.repeated(count) if self.copies else None
        return CopyingFeatures(super().repeated(count).vectors, copies)


def copies_of(features: Features) -> Copies | None:
    """What may be copied; None where nothing may."""
    return features.copies if isinstance(features, CopyingFeatures) else None


class Pointer(nn.Module):
    """Scores of places to copy from; places outside of document and window have none.

    Args:
        config: Shape of the model; `head_dim` is D.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.window, self.width = config.window, config.head_dim
        self.project = nn.Linear(config.d_model, 3 * self.width, bias=False)
        self.query_gain = nn.Parameter(torch.ones(self.width))
        self.key_gain = nn.Parameter(torch.ones(self.width))
        self.anew = nn.Linear(config.d_model, 1)
        nn.init.normal_(self.project.weight, std=config.d_model**-0.5)
        nn.init.zeros_(self.anew.weight)
        nn.init.constant_(self.anew.bias, math.log(self.window) + _RESERVE)

    def fresh_state(self, batch_size: int, *, device: torch.device) -> PointerState:
        """No place to copy from."""
        return PointerState(
            keys=torch.zeros(batch_size, self.window, self.width, device=device),
            tokens=torch.zeros(batch_size, self.window, dtype=torch.long, device=device),
            before=torch.zeros(batch_size, self.width, device=device),
            valid=torch.zeros(batch_size, self.window, dtype=torch.bool, device=device),
        )

    def forward(
        self,
        x: Tensor,
        tokens: Tensor,
        state: PointerState | PointerRing,
        boundaries: Boundaries,
    ) -> tuple[Copies, PointerState | PointerRing]:
        """Read a chunk.

        Args:
            x: Features after each token, [B, T, d].
            tokens: int64 [B, T].
            state: Of the places before the chunk.
            boundaries: Where documents start.

        Returns:
            Scores, and the state after the chunk.
        """
        if isinstance(state, PointerRing):
            return self._step(x, tokens, state, boundaries)
        length, ring = tokens.shape[1], state.valid.shape[1]
        query, before, own = self.project(x).chunk(3, dim=-1)
        shifted = torch.cat([state.before[:, None].to(before.dtype), before[:, :-1]], dim=1)
        starts = torch.diff(boundaries.documents, dim=1, prepend=torch.zeros_like(tokens[:, :1]))
        new = self._key(shifted * (starts == 0)[..., None].to(before.dtype) + own)
        query = self._query(query)
        keys = torch.cat([state.keys.to(new.dtype), new], dim=1)
        standing = torch.cat([state.tokens, tokens], dim=1)
        # Starts since the ring was filled, so the ring belongs to count 0.
        counts = functional.pad(boundaries.documents, (ring, 0))
        filled = functional.pad(state.valid, (0, length), value=True)
        same = counts[:, ring:, None] == counts[:, None, :]
        within = near(self.window, length, device=x.device)[:, self.window - ring :]
        visible = within & same & filled[:, None, :]
        copies = self._copies(x, query, keys, visible, standing)
        current = filled & (counts == counts[:, -1:])
        after = PointerState(
            keys=keys[:, -self.window :].float(),
            tokens=standing[:, -self.window :],
            before=before[:, -1].float(),
            valid=current[:, -self.window :],
        )
        return copies, after.with_places(self.window)

    def stepping(self, state: PointerState) -> PointerRing:
        """The same state for reading one token at a time."""
        state = state.with_places(self.window)
        return PointerRing(
            keys=functional.pad(state.keys, (0, 0, 0, 1)),
            tokens=functional.pad(state.tokens, (0, 1)),
            before=state.before,
            valid=functional.pad(state.valid, (0, 1)),
            read=torch.full((len(state.valid),), self.window, device=state.valid.device),
        )

    def _step(
        self, x: Tensor, tokens: Tensor, ring: PointerRing, boundaries: Boundaries
    ) -> tuple[Copies, PointerRing]:
        """One token, written over the oldest."""
        query, before, own = self.project(x).chunk(3, dim=-1)
        carried = ring.before.to(before.dtype) * boundaries.carried.to(before.dtype)
        lanes = torch.arange(len(x), device=x.device)
        slots = ring.read % ring.valid.shape[1]
        ring.keys[lanes, slots] = self._key(carried + own[:, 0]).float()
        ring.tokens[lanes, slots] = tokens[:, 0]
        valid = ring.valid & (boundaries.carried > 0)
        valid[lanes, slots] = True
        keys = ring.keys.to(query.dtype)
        copies = self._copies(x, self._query(query), keys, valid[:, None], ring.tokens)
        after = ring._replace(before=before[:, -1].float(), valid=valid, read=ring.read + 1)
        return copies, after

    def _key(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (self.width,)) * self.key_gain

    def _query(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, (self.width,)) * self.query_gain

    def _copies(
        self, x: Tensor, query: Tensor, keys: Tensor, visible: Tensor, standing: Tensor
    ) -> Copies:
        """Scores of places [B, J] with these keys [B, J, D], seen where `visible` [B, T, J]."""
        scores = (query @ keys.transpose(1, 2)).float() * self.width**-0.5
        return Copies(
            scores=scores.masked_fill(~visible, _NEVER),
            # The bias apart: it is large, and bfloat16 would round the sum.
            anew=functional.linear(x, self.anew.weight)[..., 0].float() + self.anew.bias,
            tokens=standing,
        )


def mixed_nll(nll: Tensor, targets: Tensor, copies: Copies) -> Tensor:
    """Negative log-likelihood of targets that may be copied.

    Args:
        nll: Of the vocabulary alone, nats, float32 [B, T] or [B].
        targets: Of the same shape.
        copies: Where they may stand.

    Returns:
        Nats of the same shape.
    """
    there = copies.standing() == targets[..., None]
    copied = copies.scores.masked_fill(~there, _NEVER).logsumexp(-1)
    return copies.total() - torch.logaddexp(copies.anew - nll, copied)


def mixed_scores(logits: Tensor, copies: Copies) -> Tensor:
    """Logarithms of the probabilities of all tokens, float32.

    Args:
        logits: Of the vocabulary alone, [B, T, V] or [B, V].
        copies: What may be copied.
    """
    total = copies.total()[..., None]
    shares = (copies.scores - total).exp()
    places = copies.standing().expand_as(shares)
    copied = torch.zeros_like(logits, dtype=torch.float32).scatter_add(-1, places, shares)
    anew = logits.float().log_softmax(-1) + (copies.anew[..., None] - total)
    # The logarithm of zero would be right and have no gradient.
    return torch.logaddexp(anew, copied.clamp(min=torch.finfo(torch.float32).tiny).log())
