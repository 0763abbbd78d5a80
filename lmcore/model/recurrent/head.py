"""From features to a distribution over the vocabulary: one softmax, or two levels of it.

In: features [..., e], one row of weights for each token [V, e]. Out: scores of all tokens
[..., V], or the negative log-likelihood of the targets alone.

A large vocabulary is most of the cost of a small model: V rows for each target, nearly all of
them words that are rare. Two levels (Goodman 2001; Grave et al. 2017, arXiv:1609.04309) cut
the ids at `cutoffs` c1 < c2 < ...: the short list of ids below c1 is scored together with one row
for each class behind it, and the ids of a class are scored only where the target is one of them,

    p(w) = p(w | short list and classes)                for w < c1
    p(w) = p(class of w | short list and classes) p(w | class)    otherwise.

That is an exact distribution over all V tokens, so perplexity means what it always means. It pays
where frequent tokens have small ids, as those of the word and the byte-pair tokenizer do.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional

# Rows whose logits are held at a time: few enough to stay in cache, and memory stays bounded for
# any vocabulary.
_ROWS = 1_024
_LOGITS = 1 << 25
# One softmax is as fast up to here.
_TWO_LEVELS_FROM = 20_000
_CUTOFFS = (2_048, 6_144, 14_336, 40_960, 131_072)


def default_cutoffs(vocab_size: int) -> tuple[int, ...]:
    """Cutoffs for a vocabulary of this size; none for a small one."""
    if vocab_size < _TWO_LEVELS_FROM:
        return ()
    return tuple(cutoff for cutoff in _CUTOFFS if cutoff <= vocab_size // 2)


def scores(
    features: Tensor,
    weight: Tensor,
    *,
    classes: Tensor | None,
    cutoffs: tuple[int, ...],
    bias: Tensor | None = None,
) -> Tensor:
    """Logits of all tokens [..., V]; with two levels, their logarithms of probabilities.

    Args:
        features: [..., e].
        weight: Rows of the tokens, [V, e].
        classes: Rows of the classes, [len(cutoffs), e]; None with one level.
        cutoffs: First ids of the classes, ascending.
        bias: Of the tokens and, behind them, of the classes, [V + len(cutoffs)]; None: zeros.
    """
    if classes is None:
        return functional.linear(features, weight, bias)
    levels = _levels(weight, classes, bias, cutoffs)
    first = functional.linear(features, *levels[0]).float().log_softmax(-1)
    parts = [first[..., : cutoffs[0]]]
    for number, tail in enumerate(levels[1:]):
        of_class = first[..., cutoffs[0] + number, None]
        parts.append(of_class + functional.linear(features, *tail).float().log_softmax(-1))
    return torch.cat(parts, dim=-1)


def target_nll(
    features: Tensor,
    targets: Tensor,
    weight: Tensor,
    *,
    classes: Tensor | None,
    cutoffs: tuple[int, ...],
    bias: Tensor | None = None,
) -> Tensor:
    """Negative log-likelihood of targets [N] in nats, float32, from features [N, e]."""
    if classes is None:
        return _cross_entropy(features, weight, bias, targets)
    levels = _levels(weight, classes, bias, cutoffs)
    bounds = torch.tensor(cutoffs, device=targets.device)
    level = torch.bucketize(targets, bounds, right=True)
    first = torch.where(level == 0, targets, cutoffs[0] + level - 1)
    nll = _cross_entropy(features, *levels[0], first)
    for number, tail in enumerate(levels[1:]):
        rows = (level == number + 1).nonzero()[:, 0]
        if len(rows):
            inside = targets[rows] - cutoffs[number]
            nll = nll.index_add(0, rows, _cross_entropy(features[rows], *tail, inside))
    return nll


@torch.no_grad()
def expected(counts: Tensor, cutoffs: tuple[int, ...]) -> Tensor:
    """The bias with which a head that knows nothing else predicts how frequent tokens are.

    Args:
        counts: How often each token occurs, [V]; what never occurs counts half.
        cutoffs: First ids of the classes.

    Returns:
        Logarithms of shares, of the tokens and of the classes, [V + len(cutoffs)].
    """
    logs = (counts.double().clamp(min=0.5) / counts.sum().clamp(min=1)).log()
    bounds = (*cutoffs, len(counts))
    classes = [logs[a:b].logsumexp(0)[None] for a, b in itertools.pairwise(bounds)]
    return torch.cat([logs, *classes]).float()


def _levels(
    weight: Tensor, classes: Tensor, bias: Tensor | None, cutoffs: tuple[int, ...]
) -> list[tuple[Tensor, Tensor | None]]:
    """Rows and biases of the short list with the classes, and of each class."""
    # One split: each slice of its own would cost a gradient of the size of the whole table.
    short, *tails = _split(weight, cutoffs)
    if bias is None:
        return [(torch.cat([short, classes]), None), *((tail, None) for tail in tails)]
    of_tokens, of_classes = torch.split(bias, [len(weight), len(cutoffs)])
    first, *others = _split(of_tokens, cutoffs)
    return [
        (torch.cat([short, classes]), torch.cat([first, of_classes])),
        *zip(tails, others, strict=True),
    ]


def _split(rows: Tensor, cutoffs: tuple[int, ...]) -> tuple[Tensor, ...]:
    bounds = (0, *cutoffs, len(rows))
    return torch.split(rows, [stop - start for start, stop in itertools.pairwise(bounds)])


def _cross_entropy(
    features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor
) -> Tensor:
    rows = max(1, min(_ROWS, _LOGITS // len(weight)))
    parts = [
        functional.cross_entropy(
            functional.linear(features[start : start + rows], weight, bias).float(),
            targets[start : start + rows],
            reduction="none",
        )
        for start in range(0, len(targets), rows)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
