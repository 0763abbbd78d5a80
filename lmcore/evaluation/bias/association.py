"""How words lean in a model: log p(she) - log p(he) where a sentence leaves a gap.

In come a model, its tokenizer and words; out comes one log-odds for each word and template.
Whole strings are scored by the nats of their tokens, so every kind of tokenizer is asked the same
question.  The probability of a filling is the sum over the endings after it; the opening costs
the same in both strings and cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, stdtrit

from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.bias.templates import NUM_ENDINGS, TEMPLATES
from lmcore.evaluation.bias.words import PRONOUNS, Kind, Word
from lmcore.evaluation.scores.scoring import score_tokens
from lmcore.evaluation.statistics.resampling import CONFIDENCE
from lmcore.model.language_model import LanguageModel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Sums of float32 differ by less where two fillings cost the same.
_TIE_NATS = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Leanings:
    """What a model says of W words of one kind in T templates.

    Attributes:
        words: W words.
        log_odds: log p(female) - log p(male), shape [W, T].
        related: Share of comparisons in which the two pronouns are on average likelier than a word
            that does not fit, [W].
    """

    words: tuple[Word, ...]
    log_odds: FloatArray
    related: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Log-odds by word, shape [W]."""
        return np.asarray(self.log_odds.mean(axis=1), dtype=np.float64)

    @property
    def half_width(self) -> FloatArray:
        """Half of each word's two-sided 90 % interval over templates, shape [W].

        A template that leans as a whole says nothing about words, so it is taken out first.
        """
        number = self.log_odds.shape[1]
        rest = self.log_odds - self.log_odds.mean(axis=0)
        error = rest.std(axis=1, ddof=1) / number**0.5
        return np.asarray(float(stdtrit(number - 1, CONFIDENCE)) * error, dtype=np.float64)


def measure_leanings(
    model: LanguageModel, tokenizer: Tokenizer, words: Sequence[Word]
) -> dict[Kind, Leanings]:
    """Ask a model about words.

    Args:
        model: In evaluation mode.
        tokenizer: The one that it was trained with.
        words: Of any kind.

    Returns:
        Leanings of the words of each kind, in the order given; kinds without words are left out.
    """
    found: dict[Kind, Leanings] = {}
    for kind, templates in TEMPLATES.items():
        chosen = tuple(word for word in words if word.kind == kind)
        if not chosen:
            continue
        strings = [s for word in chosen for t in templates for s in t.sentences(word)]
        nats = string_nats(model, tokenizer, strings)
        # [W, T, fillings]: probability of a filling, whatever follows it.
        fits = logsumexp(-nats.reshape(len(chosen), len(templates), -1, NUM_ENDINGS), axis=-1)
        pronouns, strangers = fits[..., :2], fits[..., 2:]
        # The mean of the two pronouns: their sum would beat one stranger in a model without any
        # knowledge, for which all fillings of one length are alike.
        common = logsumexp(pronouns, axis=-1) - math.log(2)
        beaten = common[..., None] > strangers + _TIE_NATS
        found[kind] = Leanings(
            words=chosen,
            log_odds=np.asarray(fits[..., 0] - fits[..., 1], dtype=np.float64),
            related=np.asarray(beaten.mean(axis=(1, 2)), dtype=np.float64),
        )
    return found


def string_nats(model: LanguageModel, tokenizer: Tokenizer, strings: Sequence[str]) -> FloatArray:
    """Nats of each string as the beginning of a document, its end left open, shape [N]."""
    tokens = [np.asarray(ids, dtype=np.int64) for ids in tokenizer.encode_batch(list(strings))]
    counted = [np.append(np.ones(len(ids), dtype=np.bool_), False) for ids in tokens]
    return score_tokens(model, tokens, counted=counted)


def unknown_pronouns(tokenizer: Tokenizer) -> list[str]:
    """Pronouns that a vocabulary of whole words does not have; other kinds can spell any."""
    if tokenizer.kind != "word":
        return []
    known = set(tokenizer.pieces)
    return [name for pair in PRONOUNS for name in pair if f" {name}".encode() not in known]
