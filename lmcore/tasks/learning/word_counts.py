"""A linear model over counted words and pairs of words, beside the network of a classifier.

Few labelled texts teach a network slowly what counting shows at once: which words go with which
label.  Counts and networks err differently, so that both together beat each (Mesnil et al. 2014,
arXiv:1412.5335).  Here the network learns what the counts do not say: both scores are added.

The model is naive Bayes in which logistic regression has a say (NB-SVM; Wang and Manning 2012,
ACL P12-2018): each different word or pair of a text counts once, its log-count ratio is scaled by a
weight that lies between the mean weight (naive Bayes) and the one that the regression learnt.  How
near to which, shows on texts that were held out.

While the network learns, each training text is scored by a model that was fitted without it and its
like (a fifth of the texts at a time), so that the score is what it would be of a text that nobody
has seen.  Without that, every training text would be as good as known, and nothing left to learn.

Legend: B lanes, T tokens, V vocabulary, F features, C classes, N texts, K parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from lmcore.tasks.learning.word_features import NONE, WordFeatures

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Features times classes at most: 16 MB of weights. The most frequent ones are kept.
_MAX_CELLS = 1 << 22
# Added to each count: a feature that a class has not is unlikely and not impossible.
_SMOOTHING = 1.0
_PARTS = 5
# How far the regression is trusted; 0 is naive Bayes alone.
_SHARES = (0.0, 0.1, 0.25, 0.5)
# Inverse strength of its regularization: from 10 to 100 nothing changes.
_STRENGTH = 30.0
# One regression a class is too much work beyond; then naive Bayes alone.
_MAX_REGRESSIONS = 100
# A feature that fewer texts have does not enter the mean weight.
_COMMON = 3
_MAX_TRUST = 20.0


class WordCounts(nn.Module):
    """Scores of the classes from counted words.

    Args:
        num_labels: C.
        vocab_size: V.
        size: F, known to a stored state or else to `fit`.

    Attributes:
        features: Words of a text from its tokens.
        keys: The features that have weights, ascending, int64 [F].
        weights: Of each feature for each class, [F, C].
        offset: Of each class, [C].
        held_weights: The same of the models that were fitted without one part each,
            [K, F, C]; not stored.
        held_offset: Likewise, [K, C].
        trust: Factor of the scores; fitted on held-out texts, then learnt with the network. Below
            zero, where a step may carry it, it counts as zero: a network that knows the training
            texts by heart would have the words speak for the wrong class.
    """

    keys: Tensor
    weights: Tensor
    offset: Tensor
    held_weights: Tensor
    held_offset: Tensor

    def __init__(self, num_labels: int, vocab_size: int, size: int = 1) -> None:
        super().__init__()
        self.features = WordFeatures(vocab_size)
        self.register_buffer("keys", torch.full((size,), NONE))
        self.register_buffer("weights", torch.zeros(size, num_labels))
        self.register_buffer("offset", torch.zeros(num_labels))
        for name in ("weights", "offset"):
            nothing = torch.zeros(0, *getattr(self, name).shape)
            self.register_buffer(f"held_{name}", nothing, persistent=False)
        self.trust = nn.Parameter(torch.zeros(()))

    def forward(self, tokens: Tensor, present: Tensor, *, held_out: bool = False) -> Tensor:
        """Log-odds of the classes, [B, C]; their mean over the classes is zero.

        Args:
            tokens: int64 [B, T], the end token first.
            present: 1 for tokens, 0 for padding, [B, T].
            held_out: Whether these are texts of the training: each is scored by the model that was
                fitted without it.
        """
        trust: Tensor = _NotNegative.apply(self.trust)  # type: ignore[no-untyped-call]
        return trust * self.scores(tokens, present, held_out=held_out)

    @torch.no_grad()
    def scores(self, tokens: Tensor, present: Tensor, *, held_out: bool = False) -> Tensor:
        """The same before `trust`."""
        features, valid = self.features(tokens, present)
        place = torch.searchsorted(self.keys, features).clamp(max=len(self.keys) - 1)
        known = valid & (self.keys[place] == features)
        if held_out:
            part = self.features.part(features, valid, count=_PARTS)
            found, offset = self.held_weights[part[:, None], place], self.held_offset[part]
        else:
            found, offset = self.weights[place], self.offset
        # A text twice as long has not twice as much to say.
        count = valid.sum(1, keepdim=True).clamp(min=1)
        total: Tensor = (found * known[..., None]).sum(1) / count.sqrt() + offset
        return total - total.mean(1, keepdim=True)

    def fit(self, texts: Iterable[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Learn weights from texts, and on held-out ones how far to trust them.

        Args:
            texts: Batches of tokens [B, T], presence [B, T] and classes [B].
        """
        num_labels = self.weights.shape[1]
        rows: list[IntArray] = []
        parts, labels = [], []
        for tokens, present, classes in texts:
            features, valid = self.features(tokens, present)
            rows += [row[there].numpy() for row, there in zip(features, valid, strict=True)]
            parts.append(self.features.part(features, valid, count=_PARTS).numpy())
            labels.append(classes.numpy())
        known, keys = _table(rows, most=_MAX_CELLS // num_labels)
        wanted, part = np.concatenate(labels), np.concatenate(parts)
        without = [
            _fit(known[part != k], wanted[part != k], num_labels=num_labels) for k in range(_PARTS)
        ]
        # The share of the regression with the least loss on texts that no model saw.
        best: tuple[float, float, float] | None = None
        for share in _SHARES:
            scores = np.zeros((len(rows), num_labels))
            for k, model in enumerate(without):
                weights, offset = model.mixed(share)
                scores[part == k] = known[part == k] @ weights + offset
            trust, loss = fit_trust(scores - scores.mean(1, keepdims=True), wanted)
            if best is None or loss < best[0]:
                best = loss, share, trust
        assert best is not None
        _, share, trust = best
        weights, offset = _fit(known, wanted, num_labels=num_labels).mixed(share)
        self.keys = torch.from_numpy(keys)
        self.weights = torch.from_numpy(weights).float()
        self.offset = torch.from_numpy(offset).float()
        held = [model.mixed(share) for model in without]
        self.held_weights = torch.from_numpy(np.stack([weights for weights, _ in held])).float()
        self.held_offset = torch.from_numpy(np.stack([offset for _, offset in held])).float()
        with torch.no_grad():
            self.trust.fill_(trust)


class _NotNegative(torch.autograd.Function):
    """The larger of a value and zero, which is left again where the loss asks for more.

    The derivative of `clamp` is zero below zero, so that a value once there would stay for ever.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        ctx.save_for_backward(value)
        return value.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (value,) = ctx.saved_tensors
        (gradient,) = gradients
        # A step goes against the gradient: a positive one would lead further down.
        return gradient.masked_fill((value <= 0) & (gradient > 0), 0.0)


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    """Naive Bayes and regression of one set of texts.

    Attributes:
        ratios: Log-count ratio of each feature for each class, [F, C].
        learnt: What the regression makes of it, likewise.
        offset: Of the regression, [C].
        mean: Mean size of the regression's weights, [C].
    """

    ratios: FloatArray
    learnt: FloatArray
    offset: FloatArray
    mean: FloatArray

    def mixed(self, share: float) -> tuple[FloatArray, FloatArray]:
        """Weights and offset with so much of the regression in them."""
        weights = self.ratios * ((1 - share) * self.mean) + share * self.learnt
        return weights, share * self.offset


def _table(rows: Sequence[IntArray], *, most: int) -> tuple[sparse.csr_matrix, IntArray]:
    """Texts by features, each row of length one, and the features, ascending."""
    flat = np.concatenate(rows)
    lengths = np.array([len(row) for row in rows])
    keys, place, counts = np.unique(flat, return_inverse=True, return_counts=True)
    values = np.repeat(1 / np.sqrt(np.maximum(1, lengths)), lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    known = sparse.csr_matrix((values, place, starts), shape=(len(rows), len(keys)))
    if not len(keys):
        return sparse.csr_matrix((len(rows), 1)), np.array([NONE])
    if len(keys) > most:
        kept = np.sort(np.argsort(-counts, kind="stable")[:most])
        known, keys = known[:, kept], keys[kept]
    return known, keys


def _fit(known: sparse.csr_matrix, labels: IntArray, *, num_labels: int) -> _Fitted:
    """One class against the others, for each class."""
    counts = known.sign()
    texts = np.asarray(counts.sum(0)).ravel()
    size = known.shape[1]
    ratios, learnt = np.zeros((size, num_labels)), np.zeros((size, num_labels))
    offset, mean = np.zeros(num_labels), np.ones(num_labels)
    room = _SMOOTHING * max(1, int((texts > 0).sum()))
    # With two classes the second model is the first one upside down.
    first = 1 if num_labels == 2 else 0
    for label in range(first, num_labels):
        own = labels == label
        inside = np.asarray(counts[own].sum(0)).ravel()
        outside = texts - inside
        ratio = np.log((inside + _SMOOTHING) / (inside.sum() + room))
        ratio -= np.log((outside + _SMOOTHING) / (outside.sum() + room))
        ratio[texts == 0] = 0
        ratios[:, label] = learnt[:, label] = ratio
        if 0 < own.sum() < len(own) and num_labels <= _MAX_REGRESSIONS:
            weights, offset[label] = _regression(known @ sparse.diags(ratio), own)
            common = np.abs(weights[texts >= _COMMON])
            mean[label] = common.mean() if common.any() else np.abs(weights).mean()
            learnt[:, label] = ratio * weights
    if num_labels == 2:
        ratios[:, 0], learnt[:, 0], offset[0] = -ratios[:, 1], -learnt[:, 1], -offset[1]
        mean[0] = mean[1]
    return _Fitted(ratios=ratios, learnt=learnt, offset=offset, mean=mean)


def _regression(inputs: sparse.csr_matrix, own: npt.NDArray[np.bool_]) -> tuple[FloatArray, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=_STRENGTH, solver="liblinear", random_state=0)
    model.fit(inputs, own)
    return model.coef_[0], float(model.intercept_[0])


def fit_trust(scores: FloatArray, labels: IntArray) -> tuple[float, float]:
    """The factor with the least loss on texts that were held out, and that loss in nats.

    Args:
        scores: Log-odds of the classes, [N, C].
        labels: Classes, [N].
    """
    given, wanted = torch.from_numpy(scores).double(), torch.from_numpy(labels).long()

    def loss(trust: float) -> float:
        return float(functional.cross_entropy(trust * given, wanted))

    from scipy.optimize import minimize_scalar  # what only training needs

    found = minimize_scalar(loss, bounds=(0.0, _MAX_TRUST), method="bounded")
    return float(found.x), float(found.fun)
