"""How fresh text differs from what the champion learnt, in words and in lengths.

In come texts and sizes, out come shares with their intervals.  All of it is reported and none of it
judged: it helps to see why a champion drifts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmcore.data.text.words import words
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.drift.drift import Compared, compare_samples
from lmcore.evaluation.statistics.intervals import Sample
from lmcore.evaluation.statistics.resampling import STANDARD, Resampling


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """How long documents are; bytes.

    Attributes:
        fresh_median: Of the fresh documents.
        reference_median: Of the champion's documents.
        distance: Largest difference of the two distribution functions (Kolmogorov and Smirnov).
        p: Of a distance as large where both are of one distribution.
    """

    fresh_median: float
    reference_median: float
    distance: float
    p: float

    def to_json(self) -> dict[str, Any]:
        """As `lmcore monitor --json` prints it."""
        return asdict(self)


def compare_lengths(fresh: ArrayLike, reference: ArrayLike) -> Lengths:
    """Lengths of fresh documents and of the champion's.

    Args:
        fresh: Bytes, shape [N].
        reference: Bytes, shape [M].

    Raises:
        EmptyEvaluationError: If one of them is empty.
    """
    from scipy.stats import ks_2samp  # half a second, which runs of the pipeline need not wait

    ours, theirs = (np.asarray(values, dtype=np.float64) for values in (fresh, reference))
    if not len(ours) or not len(theirs):
        raise EmptyEvaluationError("no documents whose lengths could be compared")
    found = ks_2samp(ours, theirs, method="auto")
    return Lengths(
        fresh_median=float(np.median(ours)),
        reference_median=float(np.median(theirs)),
        distance=float(found.statistic),
        p=float(found.pvalue),
    )


def words_of(text: str) -> list[str]:
    """The words of a text, whatever their case."""
    return words(text.casefold())


def unseen_bytes(text: str, known: Collection[str]) -> tuple[int, int]:
    """Bytes of the words of a text that are not `known`, and of all its words."""
    unseen = total = 0
    for word in words_of(text):
        size = len(word.encode("utf-8", "replace"))
        total += size
        unseen += size if word not in known else 0
    return unseen, total


def compare_unseen_words(
    fresh: Iterable[tuple[int, int, str]],
    reference: Iterable[tuple[int, int, str]],
    *,
    resampling: Resampling = STANDARD,
) -> Compared | None:
    """Share of the words' bytes that the champion's training text did not hold.

    New documents always bring new words; so the share is compared with that of its own held-out
    documents.

    Args:
        fresh: Unseen bytes, all bytes and cluster of each document.
        reference: The same of the champion's validation documents.
        resampling: Of the bootstrap.

    Returns:
        None where fewer than two clusters of one of them have words.
    """
    tables = [[row for row in rows if row[1] > 0] for rows in (fresh, reference)]
    if any(len({cluster for _, _, cluster in rows}) < 2 for rows in tables):
        return None
    samples = (
        Sample.ratio(_column(rows, 0), _column(rows, 1), [row[2] for row in rows])
        for rows in tables
    )
    return compare_samples(*samples, resampling=resampling)


def _column(rows: list[tuple[int, int, str]], index: Literal[0, 1]) -> NDArray[np.float64]:
    return np.array([row[index] for row in rows], dtype=np.float64)
