"""How difficult text is, said by a model that has seen neither side of a comparison.

In come documents and a sample of train text, out come scores of a byte 6-gram that was fitted
on the rest of train, without the sample and its near-copies.  It tells which of two samples of
text is harder, so that the overfitting gate can ask what the model knows of one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lmcore.data.documents import Document, DocumentSet
from lmcore.evaluation.baselines.ngram import FloatArray, KneserNey
from lmcore.evaluation.memory.consumed_text import ConsumedSample
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.sampling import sampled_ids

ORDER = 6


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Scores of the reference on both sides.

    Attributes:
        validation: On the one.
        train: On the other.
        validation_nats: By byte of each document, its end included; in the order of the table.
        train_nats: The same for the other side, whole documents.
    """

    validation: ScoreTable
    train: ScoreTable
    validation_nats: Sequence[FloatArray] = ()
    train_nats: Sequence[FloatArray] = ()


def score_reference(
    documents: DocumentSet,
    *,
    sample: ConsumedSample,
    validation: Iterable[Document],
    max_bytes: int,
) -> Reference:
    """Fit the reference on train without the sample, and score both sides.

    Args:
        documents: Their train split is counted.
        sample: Consumed train text; its clusters are left out.
        validation: The other side.
        max_bytes: A larger train split is sampled by document.
    """
    clusters = sample.clusters
    rows = (row for row in documents.iter_rows("train") if row["cluster"] not in clusters)
    counted = sampled_ids(rows, max_bytes=max_bytes, purpose="reference")
    model = KneserNey.fit(
        (d.text.encode() for d in documents.iter_documents("train") if d.id in counted),
        orders=(ORDER,),
    )
    targets = list(validation)
    unseen = model.nats_each(d.text.encode() for d in targets)[ORDER]
    seen = model.nats_each(sample.texts)[ORDER]
    consumed = [
        float(nats[mask].sum()) for nats, mask in zip(seen, sample.counted_bytes, strict=True)
    ]
    return Reference(
        validation=ScoreTable.of(
            targets,
            num_tokens=[d.num_bytes + 1 for d in targets],
            nll_nats=[float(nats.sum()) for nats in unseen],
        ),
        train=sample.table(np.array(consumed, dtype=np.float64)),
        validation_nats=unseen,
        train_nats=seen,
    )
