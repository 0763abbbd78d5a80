"""Naive Bayes over words and pairs of words, beside the network of a classifier.

Few labelled texts teach a network slowly what counting shows at once: which words go with which
label.  Counts and networks err differently, so that both together beat each (Mesnil et al. 2014,
arXiv:1412.5335).  Here the network learns what the counts do not say: both scores are added.

While it learns, each text's own contribution is taken from the counts (leave one out), so that the
score is what it would be of a text that nobody has seen.  Without that, every training text would
be as good as known, and nothing left to learn.

A text's features are the different words and pairs of neighbours in it (binarized counts; Wang and
Manning 2012), hashed into a table.  Words are put together again from the tokens, whatever the
tokenizer cuts: a word ends before white space and between letters, digits and other signs; capitals
count as small letters.

Legend: B lanes, T tokens, V vocabulary, F features, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.nn import functional

# Ten thousand sentences have a hundred thousand features: in so many, few collide.
_BUCKETS, _MAX_CELLS, _LEAST_BUCKETS = 1 << 20, 1 << 22, 1 << 10
# Added to each count: a feature that a class has not is unlikely and not impossible.
_SMOOTHING = 1.0
# Multiplicative hashing (Knuth, The Art of Computer Programming 3, section 6.4): an odd factor, and
# the upper bits of the product, to which all bits of the value contribute.
_FACTOR, _UPPER = 0x9E3779B97F4A7C15, 40
# A word's hash is a polynomial in its bytes at an odd place, so that it does not matter where
# tokens end in it; modulo 2^64 the place has an inverse.
_WRAP = 1 << 64
_BASE = 0xD1342543DE82EF95
_INVERSE = pow(_BASE, -1, _WRAP)
_LETTER, _DIGIT, _SIGN, _BLANK = range(4)
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
        vocab_size: V; what the tokens spell is told by `spell` or by a stored state.

    Attributes:
        counts: In how many training texts of a class a feature occurs, [buckets, C].
        spelling: Polynomial of each token's bytes without white space, [V].
        kinds: Kind of each token's first and last sign, whether it begins with white space, and
            how many bytes it has without any, [V, 4].
        trust: Factor of the scores; fitted on left-out texts, then learnt with the network.
    """

    counts: Tensor
    spelling: Tensor
    kinds: Tensor

    def __init__(self, num_labels: int, vocab_size: int) -> None:
        super().__init__()
        self.buckets = table_size(num_labels)
        self.register_buffer("counts", torch.zeros(self.buckets, num_labels))
        self.register_buffer("spelling", torch.zeros(vocab_size, dtype=torch.int64))
        self.register_buffer("kinds", torch.zeros(vocab_size, 4, dtype=torch.int64))
        self.trust = nn.Parameter(torch.zeros(()))

    def spell(self, pieces: Sequence[bytes]) -> None:
        """Learn what the tokens stand for.

        Args:
            pieces: Bytes of each token, [V]; none for the end of a text.
        """
        self.spelling.copy_(torch.tensor([_spelling(piece) for piece in pieces]))
        self.kinds.copy_(torch.tensor([_kinds(piece) for piece in pieces]))

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
        """Buckets of words and pairs, sorted, [B, F], and which of them count: each once."""
        words, before, there = self._words(tokens, present)
        single = self._bucket(words)
        pair = self._bucket(words * _signed(_FACTOR) + before + 1)
        every = torch.cat([single, pair], dim=1)
        every = every.masked_fill(~torch.cat([there, there], dim=1), self.buckets)
        ordered = every.sort(dim=1).values
        first = functional.pad(ordered[:, 1:] != ordered[:, :-1], (1, 0), value=True)
        return ordered, first & (ordered < self.buckets)

    def _bucket(self, value: Tensor) -> Tensor:
        return (value * _signed(_FACTOR) >> _UPPER) & (self.buckets - 1)

    def _words(self, tokens: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hash of the word that ends at each token, of the word before it, and where one ends."""
        first, last, spaced, length = self.kinds[tokens].unbind(-1)
        place = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        begins = (spaced > 0) | (first == _BLANK) | (first != functional.pad(last[:, :-1], (1, 0)))
        # The end token stands alone in front of each text.
        begins[:, :2] = True
        start = torch.where(begins, place, 0).cummax(dim=1).values
        passed = functional.pad(length.cumsum(dim=1), (1, 0))
        up, down = (_powers(base, int(passed.max()), like=tokens) for base in (_BASE, _INVERSE))
        # Products and sums wrap around, as they should.
        sums = functional.pad((self.spelling[tokens] * up[passed[:, :-1]]).cumsum(dim=1), (1, 0))
        words = (sums[:, 1:] - sums.gather(1, start)) * down[passed.gather(1, start)]
        padded = functional.pad(begins[:, 1:], (0, 1), value=True)
        following = functional.pad(present[:, 1:], (0, 1))
        ends = (padded | (following == 0)) & (present > 0) & (first != _BLANK)
        ended = torch.where(ends, place, 0).cummax(dim=1).values
        before = words.gather(1, ended.gather(1, (start - 1).clamp(min=0)))
        ends[:, 0] = False
        return words, before, ends


def _powers(base: int, highest: int, *, like: Tensor) -> Tensor:
    """Powers 0 to `highest`, modulo 2^64."""
    factors = torch.full((highest + 1,), _signed(base), dtype=torch.int64, device=like.device)
    factors[0] = 1
    return factors.cumprod(0)


def _signed(value: int) -> int:
    value %= _WRAP
    return value - _WRAP if value >= _WRAP >> 1 else value


def _letters(piece: bytes) -> bytes:
    text = piece.decode("utf-8", errors="surrogateescape").strip().lower()
    return text.encode("utf-8", errors="surrogateescape")


def _spelling(piece: bytes) -> int:
    raw = _letters(piece)
    return _signed(sum((byte + 1) * pow(_BASE, place, _WRAP) for place, byte in enumerate(raw)))


def _kinds(piece: bytes) -> tuple[int, int, bool, int]:
    text = piece.decode("utf-8", errors="surrogateescape")
    letters = text.strip()
    if not letters:  # the end of a text is a word of its own
        return _BLANK if piece else _SIGN, _BLANK, True, 0
    return _kind(letters[0]), _kind(text[-1]), text[0].isspace(), len(_letters(piece))


def _kind(sign: str) -> int:
    if sign.isspace():
        return _BLANK
    # Parts of a letter that a tokenizer has cut are letters.
    if sign.isalpha() or "\udc80" <= sign <= "\udcff":
        return _LETTER
    return _DIGIT if sign.isdigit() else _SIGN


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
