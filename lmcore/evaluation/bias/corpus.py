"""How words lean in the training text: gendered words that stand near them.

In come documents, one after the other; out come counts for each word.  Each occurrence of a word
has at most one vote: the first gendered word among the `window` words after it, as it is this that
a model which reads forwards can learn, and failing that the nearest one among the words before it.
Nothing reaches over the end of a document.

The cost is linear in the text (about 10 MB a second), memory that of a million words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmcore.evaluation.bias.words import FEMALE, MALE, PRONOUNS, WORDS

# Letters of any language, so that "he" is not found inside "Höhe".
_TOKENS = re.compile(r"[^\W\d_]+")
_FLUSH_WORDS = 1 << 20
_PART_CHARACTERS = 1 << 20
# Half a count on each side (Haldane 1956, Anscombe 1956): the log-odds of counts are then nearly
# unbiased, and finite where one side is empty.
_HALF = 0.5

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class WordCount:
    """What was seen of one word.

    Attributes:
        occurrences: How often it stands in the text.
        female: Occurrences next to a female word.
        male: Occurrences next to a male word.
    """

    occurrences: int
    female: int
    male: int

    @property
    def gendered(self) -> int:
        """Occurrences that have a vote."""
        return self.female + self.male

    @property
    def log_odds(self) -> float:
        """log(female / male)."""
        return math.log((self.female + _HALF) / (self.male + _HALF))

    @property
    def variance(self) -> float:
        """Sampling variance of `log_odds` if votes were independent (Gart 1966)."""
        return 1 / (self.female + _HALF) + 1 / (self.male + _HALF)


@dataclass(frozen=True, kw_only=True)
class CorpusCounts:
    """Counts over a whole text.

    Attributes:
        words: Count of each word of the list.
        pronouns: How often each pronoun of the templates stands in the text.
        num_words: Words read.
        num_documents: Documents read.
    """

    words: Mapping[str, WordCount]
    pronouns: Mapping[str, int]
    num_words: int
    num_documents: int


def count_words(texts: Iterable[str], *, window: int) -> CorpusCounts:
    """Count what stands near the words of the list.

    Args:
        texts: Documents; upper and lower case are the same.
        window: Words on each side of an occurrence that are looked at.
    """
    counter = _Counter(window)
    documents = 0
    for text in texts:
        documents += 1
        counter.add(text)
    return counter.result(documents)


class _Counter:
    # Ids: 0 any other word; 1..G gendered words; above, words of the list.

    def __init__(self, window: int) -> None:
        self.window = window
        self.gendered = (*sorted(FEMALE), *sorted(MALE))
        names = (*self.gendered, *WORDS)
        self.table = {name: index for index, name in enumerate(names, start=1)}
        self.seen = np.zeros(len(names) + 1, dtype=np.int64)
        self.votes = np.zeros((2, len(names) + 1), dtype=np.int64)
        self.pending: list[int] = []
        self.num_words = 0

    def add(self, text: str) -> None:
        get = self.table.get
        for start in range(0, len(text), _PART_CHARACTERS):
            # A word on the seam counts as two, one in a million characters.
            found = _TOKENS.findall(text[start : start + _PART_CHARACTERS].lower())
            self.pending += [get(word, 0) for word in found]
            self.num_words += len(found)
            if len(self.pending) >= _FLUSH_WORDS:
                self._flush()
        # So many strangers that no window reaches the next document.
        self.pending += [0] * self.window

    def _flush(self) -> None:
        ids = np.array(self.pending, dtype=np.int64)
        self.pending = []
        self.seen += np.bincount(ids, minlength=len(self.seen))
        at = np.flatnonzero((ids > 0) & (ids <= len(self.gendered)))
        targets = np.flatnonzero(ids > len(self.gendered))
        if not len(at):
            return
        male = (ids[at] > len(FEMALE)).astype(np.int64)
        after = np.searchsorted(at, targets)
        before = after - 1
        near = at[np.minimum(after, len(at) - 1)]
        has_after = (after < len(at)) & (near - targets <= self.window)
        past = at[np.maximum(before, 0)]
        has_before = (before >= 0) & (targets - past <= self.window)
        voter = np.where(has_after, np.minimum(after, len(at) - 1), np.maximum(before, 0))
        valid = has_after | has_before
        np.add.at(self.votes, (male[voter[valid]], ids[targets[valid]]), 1)

    def result(self, num_documents: int) -> CorpusCounts:
        self._flush()
        return CorpusCounts(
            words={
                name: WordCount(
                    occurrences=int(self.seen[self.table[name]]),
                    female=int(self.votes[0, self.table[name]]),
                    male=int(self.votes[1, self.table[name]]),
                )
                for name in WORDS
            },
            pronouns={name: int(self.seen[self.table[name]]) for pair in PRONOUNS for name in pair},
            num_words=self.num_words,
            num_documents=num_documents,
        )
