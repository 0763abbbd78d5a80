"""Naive Bayes over tokens and pairs of tokens, beside the network of a classifier.

Few labelled texts teach a network slowly what counting shows at once: which words go with which
label.  Counts and networks err differently, so that both together beat each (Mesnil et al. 2014,
arXiv:1412.5335).  Here the network learns what the counts do not say: both scores are added.

While it learns, each text's own contribution is taken from the counts (leave one out), so that the
score is what it would be of a text that nobody has seen.  Without that, every training text would
be as good as known, and nothing left to learn.

A text's features are the different tokens and pairs of neighbours in it (binarized counts; Wang and
Manning 2012), hashed into a table.

Legend: B lanes, T tokens, F features, C classes.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn import functional

# Features of a million reviews collide rarely in so many; more classes have fewer each.
_BUCKETS, _MAX_CELLS, _LEAST_BUCKETS = 1 << 17, 1 << 22, 1 << 10
# Added to each count: a feature that a class has not is unlikely and not impossible.
_SMOOTHING = 1.0
_MIX_TOKEN, _MIX_PAIR, _SHIFT = 0x9E3779B1, 0x85EBCA77, 15
_MAX_TRUST = 20.0


def table_size(num_labels: int) -> int:
    """Hashed features for so many classes: a power of two, some 16 MB at most."""
    size = _BUCKETS
    while size > _LEAST_BUCKETS and size * num_labels > _MAX_CELLS:
        size //= 2
    return size


class WordCounts(nn.Module):
    """Scores of the classes from counted features.

    Args:
        num_labels: C.

    Attributes:
        counts: In how many training texts of a class a feature occurs, [buckets, C].
        trust: Factor of the scores; fitted on left-out texts, then learnt with the network.
    """

    counts: Tensor

    def __init__(self, num_labels: int) -> None:
        super().__init__()
        self.buckets = table_size(num_labels)
        self.register_buffer("counts", torch.zeros(self.buckets, num_labels))
        self.trust = nn.Parameter(torch.zeros(()))

    def forward(self, tokens: Tensor, present: Tensor, own: Tensor | None = None) -> Tensor:
        """Log-odds of the classes, [B, C]; their mean over the classes is zero.

        Args:
            tokens: int64 [B, T], the end token first.
            present: 1 for tokens, 0 for padding, [B, T].
            own: Classes of the texts where the counts hold these very texts, [B]: they are left
                out; None: they are unseen.
        """
        scores: Tensor = self.trust * self.scores(tokens, present, own)
        return scores

    @torch.no_grad()
    def scores(self, tokens: Tensor, present: Tensor, own: Tensor | None = None) -> Tensor:
        """The same before `trust`."""
        features, valid = self._features(tokens, present)
        found = self.counts[features.clamp(max=self.buckets - 1)]
        sizes = self.counts.sum(0).expand(len(tokens), -1)
        if own is not None:
            mine = functional.one_hot(own, found.shape[2]).to(found.dtype)
            found = found - mine[:, None] * valid[..., None]
            sizes = sizes - mine * valid.sum(1, keepdim=True)
        known = valid & (found.sum(2) > 0)
        room = _SMOOTHING * (self.counts.sum(1) > 0).sum()
        likely = (found + _SMOOTHING).log() - (sizes + room).log()[:, None]
        total = (likely * known[..., None]).sum(1)
        # A text twice as long has not twice as much to say.
        scaled = total / known.sum(1, keepdim=True).clamp(min=1).sqrt()
        return scaled - scaled.mean(1, keepdim=True)

    @torch.no_grad()
    def add(self, tokens: Tensor, present: Tensor, labels: Tensor) -> None:
        """Count texts of known classes [B]."""
        features, valid = self._features(tokens, present)
        lanes = labels[:, None].expand_as(features)
        flat = (features * self.counts.shape[1] + lanes)[valid]
        self.counts.view(-1).index_add_(0, flat, torch.ones_like(flat, dtype=torch.float32))

    def _features(self, tokens: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Buckets of tokens and pairs, sorted, [B, F], and which of them count: each once."""
        own, before = tokens[:, 1:], tokens[:, :-1]
        there = present[:, 1:] > 0
        single = _hash(own * _MIX_TOKEN, self.buckets)
        pair = _hash(own * _MIX_TOKEN + (before + 1) * _MIX_PAIR, self.buckets)
        every = torch.cat([single, pair], dim=1)
        every = every.masked_fill(~torch.cat([there, there], dim=1), self.buckets)
        ordered = every.sort(dim=1).values
        first = functional.pad(ordered[:, 1:] != ordered[:, :-1], (1, 0), value=True)
        return ordered, first & (ordered < self.buckets)


def _hash(mixed: Tensor, buckets: int) -> Tensor:
    return (mixed ^ (mixed >> _SHIFT)) & (buckets - 1)


def fit_trust(scores: np.ndarray, labels: np.ndarray) -> float:
    """The factor with the least loss on texts that were left out.

    Args:
        scores: Log-odds of the classes, [N, C].
        labels: Classes, [N].
    """
    given, wanted = torch.from_numpy(scores).double(), torch.from_numpy(labels).long()

    def loss(trust: float) -> float:
        return float(functional.cross_entropy(trust * given, wanted))

    return float(minimize_scalar(loss, bounds=(0.0, _MAX_TRUST), method="bounded").x)
