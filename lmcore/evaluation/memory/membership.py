"""Can the loss tell text that was trained on from text that was not?

In come nats by token of consumed train documents and of validation documents, cut into passages of
about 1,000 bytes; out comes the area under the ROC curve (AUC) of the attack that calls a passage a
member where its loss is low (Yeom et al., arXiv:1709.01604).  0.5 is chance.  The two sides come
from one random split, so nothing but training tells them apart; on public benchmarks they differ in
date and topic, which is most of what attacks on them find (Meeus et al., arXiv:2406.17975).

As in the overfitting gap of a model from random weights, n-grams that have seen neither side say
how hard each passage is, and the loss is corrected by that; the attack is the stronger for it
(Watson et al., arXiv:2111.08440).

The interval counts documents, not passages: placements (DeLong et al., Biometrics 44, 1988) are
summed by cluster (Obuchowski, Biometrics 53, 1997), and the degrees of freedom are those of the
effective numbers of clusters (`lmcore.evaluation.statistics.intervals`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from lmcore.counted import counted
from lmcore.data.documents import Document
from lmcore.data.tokens.text_bytes import own_bytes
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.memory.consumed_text import ConsumedSample
from lmcore.evaluation.memory.difficulty_reference import Reference
from lmcore.evaluation.memory.regurgitation import WindowBook
from lmcore.evaluation.scores.scoring import NatsArray
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.resampling import CONFIDENCE

PASSAGE_BYTES = 1_000

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Passages:
    """Passages of the documents of one side; every column has shape [N].

    Attributes:
        document: Row of its document in the sample.
        cluster: Of near-copies, by document.
        start: First byte in its document.
        stop: Byte behind the last one.
        nats: What the model finds it to cost.
    """

    document: IntArray
    cluster: NDArray[np.object_]
    start: IntArray
    stop: IntArray
    nats: FloatArray

    def __len__(self) -> int:
        return len(self.nats)

    def bits_per_byte(self) -> FloatArray:
        """Of each passage, shape [N]."""
        rate: FloatArray = self.nats / (self.stop - self.start) / np.log(2)
        return rate

    def reference_bits_per_byte(self, each: Sequence[FloatArray]) -> FloatArray:
        """What a reference finds each passage to cost, shape [N].

        Args:
            each: Nats by byte of each document of the sample, in its order.
        """
        sums = [np.concatenate([[0.0], np.cumsum(nats)]) for nats in each]
        found = np.array(
            [
                sums[document][stop] - sums[document][start]
                for document, start, stop in zip(self.document, self.start, self.stop, strict=True)
            ]
        )
        rate: FloatArray = found / (self.stop - self.start) / np.log(2)
        return rate


class PassageBook:
    """Cuts documents into passages as they are scored."""

    def __init__(self, *, num_bytes: int = PASSAGE_BYTES) -> None:
        self._num_bytes = num_bytes
        self._documents = 0
        self._rows: list[tuple[int, str, int, int, float]] = []

    def add(
        self,
        cluster: str,
        *,
        sizes: IntArray,
        nats: NDArray[np.float32],
        counted: BoolArray | None = None,
    ) -> None:
        """Take one document.

        Args:
            cluster: Of near-copies.
            sizes: Bytes of each token, shape [T].
            nats: Of each token, and perhaps of the end behind them, shape [T] or [T + 1].
            counted: Which tokens may be in a passage, of the shape of `nats`; None: all.
        """
        document, self._documents = self._documents, self._documents + 1
        ends = np.cumsum(sizes, dtype=np.int64)
        if not len(ends) or not ends[-1]:
            return
        # A last piece of less than half a passage is no passage of its own.
        count = max(1, int(ends[-1] / self._num_bytes + 0.5))
        edges = np.searchsorted(ends, np.arange(1, count) * self._num_bytes)
        bounds = np.unique(np.concatenate([[0], edges, [len(ends)]]))
        starts = ends - sizes
        for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            size = int(ends[last - 1] - starts[first])
            if 2 * size < min(self._num_bytes, int(ends[-1])) or (
                counted is not None and not counted[first:last].all()
            ):
                continue
            total = float(nats[first:last].sum(dtype=np.float64))
            self._rows.append((document, cluster, int(starts[first]), int(ends[last - 1]), total))

    def passages(self) -> Passages:
        """All passages so far."""
        document, cluster, start, stop, nats = (
            zip(*self._rows, strict=True) if self._rows else ((),) * 5
        )
        return Passages(
            document=np.array(document, dtype=np.int64),
            cluster=np.array(cluster, dtype=object),
            start=np.array(start, dtype=np.int64),
            stop=np.array(stop, dtype=np.int64),
            nats=np.array(nats, dtype=np.float64),
        )


@dataclass(frozen=True, kw_only=True)
class Membership:
    """Passages of both sides with the reference's opinion.

    Attributes:
        members: Of consumed train text.
        others: Of validation.
        member_reference: Bits per byte of the reference on the members, shape [M].
        other_reference: The same on the others.
    """

    members: Passages
    others: Passages
    member_reference: FloatArray
    other_reference: FloatArray

    def auc(self) -> Interval:
        """AUC of the corrected loss, with its interval by cluster.

        Raises:
            EmptyEvaluationError: With fewer than two clusters on a side, or scores that are not
                finite.
        """
        sides = (
            (self.members.bits_per_byte(), self.member_reference),
            (self.others.bits_per_byte(), self.other_reference),
        )
        slope = _slope(sides)
        member, other = (loss - slope * reference for loss, reference in sides)
        return auc_interval(-member, self.members.cluster, -other, self.others.cluster)


class SideNotes:
    """Passages and windows of one side, cut while its documents are scored."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._sizes = np.array([len(piece) for piece in pieces], dtype=np.int64)
        self.passages = PassageBook()
        self.windows = WindowBook()

    def document(self, document: Document, tokens: IntArray, nats: NatsArray) -> None:
        """Take a document of which all counts: `on_scored` of `score_documents`."""
        sizes = own_bytes(self._sizes[tokens], document.num_bytes)
        self.passages.add(document.cluster, sizes=sizes, nats=nats)
        self.windows.add(document.cluster, nats)

    def of_sample(self, sample: ConsumedSample) -> Callable[[int, NatsArray], None]:
        """`on_scored` of a sample of which the consumed tokens count."""

        def take(row: int, nats: NatsArray) -> None:
            cluster, counted = str(sample.facts[row].cluster), sample.counted[row]
            self.passages.add(cluster, sizes=sample.sizes[row], nats=nats, counted=counted)
            self.windows.add(cluster, nats, counted=counted)

        return take


def membership_of(seen: SideNotes, unseen: SideNotes, reference: Reference) -> Membership:
    """Passages of both sides with what the reference finds them to cost.

    Args:
        seen: Of the consumed sample that the reference scored.
        unseen: Of the validation documents that it scored, in the same order.
        reference: With its nats by byte.
    """
    members, others = seen.passages.passages(), unseen.passages.passages()
    return Membership(
        members=members,
        others=others,
        member_reference=members.reference_bits_per_byte(reference.train_nats),
        other_reference=others.reference_bits_per_byte(reference.validation_nats),
    )


def auc_interval(
    positive: ArrayLike,
    positive_cluster: ArrayLike,
    negative: ArrayLike,
    negative_cluster: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Probability that a positive's score is above a negative's, ties counted half.

    Args:
        positive: Scores, shape [M].
        positive_cluster: Cluster of each, shape [M].
        negative: Scores, shape [N].
        negative_cluster: Cluster of each, shape [N]; no cluster is on both sides.
        confidence: Of each of the two one-sided bounds.

    Raises:
        EmptyEvaluationError: With fewer than two clusters on a side, or scores that are not finite.
    """
    x, y = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise EmptyEvaluationError("a passage's score is not finite")
    sums, freedoms = [], []
    value = 0.0
    for own, other, cluster in ((x, y, positive_cluster), (-y, -x, negative_cluster)):
        _, member = np.unique(np.asarray(cluster), return_inverse=True)
        clusters = int(member.max(initial=-1)) + 1
        if clusters < 2:
            raise EmptyEvaluationError(
                f"{counted(clusters, 'document')} with passages on one side; at least 2 are needed"
            )
        ordered = np.sort(other)
        below = np.searchsorted(ordered, own, side="left")
        not_above = np.searchsorted(ordered, own, side="right")
        placement = (below + not_above) / (2 * len(ordered))
        value = float(placement.mean())
        excess = np.bincount(member, weights=placement - value)
        sums.append(clusters / (clusters - 1) * float(excess @ excess) / len(own) ** 2)
        share = np.bincount(member) / len(own)
        freedoms.append(max(1.0, 1 / float(share @ share) - 1))
    variance = sum(sums)
    weight = sum(part**2 / freedom for part, freedom in zip(sums, freedoms, strict=True))
    freedom = variance**2 / weight if weight > 0 else 1.0
    reach = float(stdtrit(freedom, confidence)) * variance**0.5
    return Interval(
        value=value,
        lower=max(0.0, value - reach),
        upper=min(1.0, value + reach),
        n=min(len(np.unique(np.asarray(c))) for c in (positive_cluster, negative_cluster)),
        confidence=confidence,
    )


def _slope(sides: Sequence[tuple[FloatArray, FloatArray]]) -> float:
    """How much of the reference's spread within each side the model shares, from 0 to 1."""
    shared = spread = 0.0
    for loss, reference in sides:
        centred = reference - reference.mean() if len(reference) else reference
        shared += float(loss @ centred)
        spread += float(centred @ centred)
    return min(1.0, max(0.0, shared / spread)) if spread > 0 else 0.0
