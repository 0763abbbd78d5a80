"""Words and pairs of words of a text, as numbers of 64 bits.

Words are put together again from the tokens, whatever the tokenizer cuts: a word ends before white
space and between letters, digits and other signs; capitals count as small letters.  Marks
belong to their letters, and where a script sets no blank between words each token is one.  A text's
features are the different words and pairs of neighbours in it, each a hash of what is spelt.

Legend: B lanes, T tokens, V vocabulary, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import category

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmcore.data.text.words import is_unspaced

# Multiplicative hashing (Knuth, The Art of Computer Programming 3, section 6.4): an odd factor, and
# the upper bits of the product, to which all bits of the value contribute.
_FACTOR, _UPPER = 0x9E3779B97F4A7C15, 40
# A word's hash is a polynomial in its bytes at an odd place, so that it does not matter where
# tokens end in it; modulo 2^64 the place has an inverse.
_WRAP = 1 << 64
_BASE = 0xD1342543DE82EF95
_INVERSE = pow(_BASE, -1, _WRAP)
# Stands where there is no feature, behind all that are.
NONE = (1 << 63) - 1
_LETTER, _DIGIT, _SIGN, _BLANK, _LONE = range(5)


class WordFeatures(nn.Module):
    """Hashes what the tokens of a text spell.

    Args:
        vocab_size: V; what the tokens spell is told by `spell` or by a stored state.

    Attributes:
        spelling: Polynomial of each token's bytes without white space, [V].
        kinds: Kind of each token's first and last sign, whether it begins with white space, and
            how many bytes it has without any, [V, 4].
    """

    spelling: Tensor
    kinds: Tensor

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.register_buffer("spelling", torch.zeros(vocab_size, dtype=torch.int64))
        self.register_buffer("kinds", torch.zeros(vocab_size, 4, dtype=torch.int64))

    def spell(self, pieces: Sequence[bytes]) -> None:
        """Learn what the tokens stand for.

        Args:
            pieces: Bytes of each token, [V]; none for the end of a text.
        """
        self.spelling.copy_(torch.tensor([_spelling(piece) for piece in pieces]))
        self.kinds.copy_(torch.tensor([_kinds(piece) for piece in pieces]))

    @torch.no_grad()
    def forward(self, tokens: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Words and pairs, sorted, [B, F], and which of them count: each once.

        Args:
            tokens: int64 [B, T], the end token first.
            present: 1 for tokens, 0 for padding, [B, T].
        """
        words, before, there = self._words(tokens, present)
        every = torch.cat([words, words * _signed(_FACTOR) + before + 1], dim=1)
        every = every.masked_fill(~torch.cat([there, there], dim=1), NONE)
        ordered = every.sort(dim=1).values
        first = functional.pad(ordered[:, 1:] != ordered[:, :-1], (1, 0), value=True)
        return ordered, first & (ordered < NONE)

    def part(self, features: Tensor, valid: Tensor, *, count: int) -> Tensor:
        """Which of so many parts a text belongs to, by its words alone, [B]: copies stay together.

        Args:
            features: What `forward` found.
            valid: Likewise.
            count: Parts.
        """
        return ((features * valid).sum(1) * _signed(_FACTOR) >> _UPPER) % count

    def _words(self, tokens: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hash of the word that ends at each token, of the word before it, and where one ends."""
        first, last, spaced, length = self.kinds[tokens].unbind(-1)
        place = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        previous = functional.pad(last[:, :-1], (1, 0))
        begins = (spaced > 0) | (first == _BLANK) | (first == _LONE) | (first != previous)
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
    if is_unspaced(sign):
        return _LONE
    # Marks belong to letters; parts of a letter that a tokenizer has cut are letters.
    if sign.isalpha() or "\udc80" <= sign <= "\udcff" or category(sign)[0] == "M":
        return _LETTER
    return _DIGIT if sign.isdigit() else _SIGN
