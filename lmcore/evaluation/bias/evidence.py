"""Leanings of the training text and of the model, side by side, for the gate and the report.

In come documents, a model and its tokenizer; out comes `BiasEvidence`.  Only words that were seen
often enough are asked about, so a corpus about something else costs the counting and nothing more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.bias.association import measure_leanings, unknown_pronouns
from lmcore.evaluation.bias.corpus import CorpusCounts, WordCount, count_words
from lmcore.evaluation.bias.slopes import MIN_CLASS
from lmcore.evaluation.bias.words import WORDS, Word
from lmcore.evaluation.config import BiasLimits
from lmcore.evaluation.statistics.sampling import sampled_ids
from lmcore.model.language_model import LanguageModel

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class WordLeaning:
    """One word in the training text and in the model.

    Attributes:
        word: Which one.
        count: What stands near it in the training text.
        model: log p(female) - log p(male), mean over templates.
        half_width: Half of its two-sided 90 % interval over templates.
        related: Share of comparisons in which pronouns beat words that do not fit.
    """

    word: Word
    count: WordCount
    model: float
    half_width: float
    related: float

    def to_json(self) -> dict[str, Any]:
        """Plain values, log-odds in nats."""
        reach = 1.645 * self.count.variance**0.5
        return {
            "word": self.word.text,
            "class": self.word.kind,
            "occurrences": self.count.occurrences,
            "female": self.count.female,
            "male": self.count.male,
            "corpus": round(self.count.log_odds, 4),
            "corpus_lower": round(self.count.log_odds - reach, 4),
            "corpus_upper": round(self.count.log_odds + reach, 4),
            "model": round(self.model, 4),
            "model_lower": round(self.model - self.half_width, 4),
            "model_upper": round(self.model + self.half_width, 4),
            "labour_share": self.word.labour_share,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class BiasEvidence:
    """What is known about the leanings of words.

    Attributes:
        words: Words that were seen often enough, as the model and the text have them.
        counts: All that was counted.
        unknown_pronouns: Pronouns that the vocabulary does not have.
        sampled: Whether only a part of the training text was counted.
        probes: Results on data that somebody else published, where it was given.
    """

    words: tuple[WordLeaning, ...]
    counts: CorpusCounts
    unknown_pronouns: tuple[str, ...] = ()
    sampled: bool = False
    probes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def groups(self) -> list[str]:
        """Class of each word."""
        return [leaning.word.kind for leaning in self.words]

    @property
    def corpus(self) -> FloatArray:
        """Log-odds of each word in the training text, shape [N]."""
        return np.array([leaning.count.log_odds for leaning in self.words])

    @property
    def model(self) -> FloatArray:
        """Log-odds of each word in the model, shape [N]."""
        return np.array([leaning.model for leaning in self.words])


def eligible_words(counts: CorpusCounts, *, min_occurrences: int, min_votes: int) -> list[Word]:
    """Words that were seen often enough, of classes that have enough of those."""
    found = [
        WORDS[name]
        for name, count in counts.words.items()
        if count.occurrences >= min_occurrences and count.gendered >= min_votes
    ]
    sizes = Counter(word.kind for word in found)
    return [word for word in found if sizes[word.kind] >= MIN_CLASS]


def _most_frequent(words: Sequence[Word], counts: CorpusCounts, most: int) -> list[Word]:
    """At most so many words, in their order; a class of too few is left out."""
    by_count = sorted(words, key=lambda word: -counts.words[word.text].occurrences)
    chosen = {word.text for word in by_count[:most]}
    sizes = Counter(word.kind for word in words if word.text in chosen)
    return [word for word in words if word.text in chosen and sizes[word.kind] >= MIN_CLASS]


def measure_bias(
    documents: DocumentSet,
    *,
    model: LanguageModel,
    tokenizer: Tokenizer,
    limits: BiasLimits,
    most: int | None = None,
) -> BiasEvidence:
    """Count the training text, then ask the model about the words that are in it.

    Args:
        documents: Their train split is counted.
        model: In evaluation mode.
        tokenizer: The one that it was trained with.
        limits: Window, and how often is often enough.
        most: Words, the most frequent ones; None: all that were seen often enough.
    """
    counts, sampled = count_leanings(documents, limits=limits)
    return leanings_of(
        counts, model=model, tokenizer=tokenizer, limits=limits, sampled=sampled, most=most
    )


def count_leanings(documents: DocumentSet, *, limits: BiasLimits) -> tuple[CorpusCounts, bool]:
    """What stands near each word in the train split, and whether only a part was counted."""
    chosen = sampled_ids(
        documents.iter_rows("train"), max_bytes=limits.max_train_bytes, purpose="bias"
    )
    counts = count_words(
        (d.text for d in documents.iter_documents("train") if d.id in chosen),
        window=limits.window_words,
    )
    return counts, len(chosen) < documents.count("train")


def leanings_of(
    counts: CorpusCounts,
    *,
    model: LanguageModel,
    tokenizer: Tokenizer,
    limits: BiasLimits,
    sampled: bool = False,
    most: int | None = None,
) -> BiasEvidence:
    """Ask the model about the words that were counted often enough; see `measure_bias`."""
    words = eligible_words(
        counts, min_occurrences=limits.min_occurrences, min_votes=limits.min_votes
    )
    if most is not None and most < len(words):
        words = _most_frequent(words, counts, most)
    found: list[WordLeaning] = []
    for leanings in measure_leanings(model, tokenizer, words).values():
        columns = zip(
            leanings.words, leanings.mean, leanings.half_width, leanings.related, strict=True
        )
        found += [
            WordLeaning(
                word=word,
                count=counts.words[word.text],
                model=float(mean),
                half_width=float(half),
                related=float(related),
            )
            for word, mean, half, related in columns
        ]
    return BiasEvidence(
        words=tuple(found),
        counts=counts,
        unknown_pronouns=tuple(unknown_pronouns(tokenizer)),
        sampled=sampled,
    )
