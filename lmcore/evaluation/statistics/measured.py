"""What was measured of a model: one row of sums a document, and the statistic of their total.

In come sums by document (nats and bytes, hits, counts of n-grams) with the metric that they are
for; out come values, intervals and paired differences.  Every gate that compares two models, or
one with a bar, reads this and asks the metric which way is better, so that bits per byte,
accuracy, BLEU and ROUGE are judged by the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lmcore.counted import counted
from lmcore.errors import LmcoreError
from lmcore.evaluation.statistics.intervals import (
    FloatArray,
    Interval,
    Sample,
    independent_difference,
    interval,
)
from lmcore.evaluation.statistics.metric import Metric
from lmcore.evaluation.statistics.permutation import mcnemar, sign_flip_p
from lmcore.evaluation.statistics.resampling import STANDARD, Resampling

BoolArray = NDArray[np.bool_]


class AlignmentError(LmcoreError):
    """Two models were not measured on the same documents."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A metric of one model on N documents.

    Attributes:
        metric: What is measured.
        id: Of each document, unique, shape [N].
        sample: What is summed over them, their clusters, and the statistic.
        signature: How exactly it was computed, where a library says so.
    """

    metric: Metric
    id: NDArray[np.object_]
    sample: Sample
    signature: str = ""

    def __len__(self) -> int:
        return len(self.id)

    @property
    def value(self) -> float:
        """On all documents."""
        return self.sample.value

    @property
    def each(self) -> FloatArray:
        """The statistic of each document on its own, shape [N]."""
        return self.sample.score(self.sample.sums)

    @property
    def finite(self) -> bool:
        """Whether every document has a value."""
        return bool(np.isfinite(self.sample.sums).all())

    def shown(self) -> str:
        """The value as people read it."""
        return self.metric.shown(self.value)

    def interval(self, *, resampling: Resampling = STANDARD) -> Interval:
        """The value with its bounds; a share stays between 0 and 1.

        Raises:
            EmptyEvaluationError: With fewer than two clusters, or a value that is not finite.
        """
        found = interval(self.sample, resampling=resampling)
        if not self.metric.is_share:
            return found
        return replace(found, lower=max(0.0, found.lower), upper=min(1.0, found.upper))

    def minus(self, other: Measured, *, resampling: Resampling = STANDARD) -> Interval:
        """This minus another model's, paired: both are computed on the same resamples.

        Raises:
            AlignmentError: If the two were not measured on the same documents.
            EmptyEvaluationError: With fewer than two clusters, or a value that is not finite.
        """
        return interval(self.sample.minus(self.aligned(other).sample), resampling=resampling)

    def minus_unpaired(self, other: Measured, *, resampling: Resampling = STANDARD) -> Interval:
        """This minus the same metric on other, independent documents.

        Raises:
            EmptyEvaluationError: With fewer than two clusters, or a value that is not finite.
        """
        return independent_difference(self.sample, other.sample, resampling=resampling)

    def chances(self, other: Measured, *, resampling: Resampling = STANDARD) -> dict[str, float]:
        """P-values of this being no better than another model's, by the name of the test.

        A sign-flip permutation where the metric is a mean, McNemar's exact test where each
        document is right or wrong, nothing where it is a score of the corpus as a whole.
        """
        ours, theirs = self.sample, self.aligned(other).sample
        if not ours.shares_denominators_with(theirs):
            return {}
        worse = -self.metric.direction * (ours.sums[:, 0] - theirs.sums[:, 0])
        found = {"sign_flip_p": sign_flip_p(worse, ours.cluster, resampling=resampling)}
        if all(np.isin(side.sums, (0, 1)).all() for side in (ours, theirs)):
            found["mcnemar_p"] = mcnemar(ours.sums[:, 0], theirs.sums[:, 0])
        return found

    def equals(self, other: Measured) -> bool:
        """Whether no document tells the two models apart."""
        return bool(np.array_equal(self.sample.sums, self.aligned(other).sample.sums))

    def select(self, rows: ArrayLike) -> Self:
        """The same over some of the documents: a mask, or places."""
        return replace(self, id=self.id[np.asarray(rows)], sample=self.sample.select(rows))

    def clusters(self, rows: BoolArray) -> int:
        """Independent documents among some."""
        cluster = self.id if self.sample.cluster is None else np.asarray(self.sample.cluster)
        return len(set(cluster[rows]))

    def aligned(self, other: Measured) -> Measured:
        """`other`'s documents in the order of these.

        Raises:
            AlignmentError: If the two were not measured on the same documents by one metric,
                computed in one way.
        """
        if other.metric != self.metric:
            raise AlignmentError(
                f"one model was measured in {self.metric.name}, the other in {other.metric.name}"
            )
        if other.signature != self.signature:
            raise AlignmentError(
                f"{self.metric.name} of one model is {self.signature or 'unsigned'}, of the other"
                f" {other.signature or 'unsigned'}; measure both in one way"
            )
        found = other.select(rows_of(self.id, other.id))
        sizes = [side.sample.weights for side in (self, found)]
        if (differ := np.flatnonzero(sizes[0] != sizes[1])).size:
            row = differ[0]
            raise AlignmentError(
                f"document {str(self.id[row])[:12]} counts for {sizes[0][row]:g} in one table and"
                f" for {sizes[1][row]:g} in the other; the evaluation set changed"
            )
        return found


def rows_of(wanted: NDArray[np.object_], there: NDArray[np.object_]) -> NDArray[np.int64]:
    """Places of the wanted documents among those that are there.

    Raises:
        AlignmentError: If the two are not the same set.
    """
    place = {identity: row for row, identity in enumerate(there)}
    if missing := [identity for identity in wanted if identity not in place]:
        raise AlignmentError(
            f"no score in the table to compare with for {len(missing):,} of"
            f" {counted(len(wanted), 'document')}, the first {str(missing[0])[:12]}; score both"
            " models on the same documents"
        )
    if len(there) != len(wanted):
        raise AlignmentError(
            f"{counted(len(there) - len(wanted), 'document')} more in one table than in the other;"
            " score both models on the same documents"
        )
    return np.fromiter((place[identity] for identity in wanted), np.int64, count=len(wanted))
