"""The n-gram baseline as a step: fitted on train, scored on validation, kept.

In comes a `DocumentSet`, out comes a `BaselineReport` with one table of scores an order.
It depends on the documents and on two caps only, so every retraining on the same data
finds it finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lmcore.content_store import ContentStore, Handle
from lmcore.data.documents import DocumentSet
from lmcore.digests import code_digest
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.baselines.ngram import MAX_ORDER, KneserNey
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.sampling import sampled, sampled_ids

ORDERS = (5, 6, 8)
CODE_MODULES = (
    "lmcore.evaluation.baselines.baselines",
    "lmcore.evaluation.baselines.ngram",
    "lmcore.evaluation.statistics.sampling",
    "lmcore.evaluation.scores.table",
)


class BaselineReport(Handle):
    """Scores of the byte n-grams. Summary: orders, train_bytes, train_documents, sampled."""

    kind: ClassVar[str] = "baseline"

    def scores(self, order: int) -> ScoreTable:
        """Validation scores of one order."""
        return ScoreTable.from_parquet(self.path / f"scores-kn{order}.parquet")


def fit_baselines(
    store: ContentStore,
    documents: DocumentSet,
    *,
    max_train_bytes: int,
    max_validation_bytes: int,
) -> BaselineReport:
    """Fit Kneser-Ney byte n-grams of orders 5, 6 and 8 on train and score validation.

    Args:
        store: Where the finished report is kept.
        documents: Its train split is counted, its validation split is scored.
        max_train_bytes: A larger train split is sampled by document.
        max_validation_bytes: Likewise for validation.

    Raises:
        EmptyEvaluationError: If one of the two splits holds no text.
    """
    inputs = {
        "documents": documents.key,
        "max_train_bytes": max_train_bytes,
        "max_validation_bytes": max_validation_bytes,
        "code": code_digest(*CODE_MODULES),
    }

    def make(folder: Path) -> Mapping[str, Any]:
        # Every document costs its padding too, which counts where documents are a few bytes.
        padded = (
            {**row, "num_bytes": row["num_bytes"] + MAX_ORDER}
            for row in documents.iter_rows("train")
        )
        counted = sampled_ids(padded, max_bytes=max_train_bytes, purpose="baseline")
        scored = validation_ids(documents, max_bytes=max_validation_bytes)
        if not counted or not scored:
            raise EmptyEvaluationError(
                f"{len(counted)} train and {len(scored)} validation documents for the n-gram"
                " baseline; both splits need text, so add some or change data.validation_fraction"
            )
        model = KneserNey.fit(
            (d.text.encode() for d in documents.iter_documents("train") if d.id in counted),
            orders=ORDERS,
        )
        targets = [d for d in documents.iter_documents("validation") if d.id in scored]
        num_tokens = np.array([d.num_bytes + 1 for d in targets])
        for order, nll in model.nll_nats(d.text.encode() for d in targets).items():
            table = ScoreTable.of(targets, num_tokens=num_tokens, nll_nats=nll)
            table.to_parquet(folder / f"scores-kn{order}.parquet")
        return {
            "orders": list(ORDERS),
            "train_documents": len(counted),
            "train_bytes": model.num_bytes,
            "sampled": len(counted) < documents.count("train"),
            "validation_documents": len(targets),
        }

    return store.build(BaselineReport, inputs, make)


def validation_ids(documents: DocumentSet, *, max_bytes: int) -> frozenset[str]:
    """The validation documents that every score of a run is over."""
    return frozenset(identity for identity, _ in validation_order(documents, max_bytes=max_bytes))


def validation_order(documents: DocumentSet, *, max_bytes: int) -> list[tuple[str, int]]:
    """Id and bytes of these documents, in the order in which they are taken."""
    return sampled(documents.iter_rows("validation"), max_bytes=max_bytes, purpose="validation")
