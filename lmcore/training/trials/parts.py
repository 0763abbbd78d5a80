"""The same training on parts of the text: what the advice on more data is drawn from.

In come the documents, the tokenizer and the recorded plan of a finished training; out comes a
checkpoint for each share of the train documents, all trained for the same number of steps.  Tune
text stays as it is, so that every part is stopped by the same measure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmcore.content_store import ContentStore
from lmcore.data.documents import DocumentSet, RowWriter
from lmcore.data.tokens.corpus import Corpus, make_corpus
from lmcore.digests import code_digest
from lmcore.errors import SourceError
from lmcore.model.config import AnyModelConfig
from lmcore.model.pretrained.base import Base
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.config import TrainingConfig
from lmcore.training.train import train


@dataclass(frozen=True, kw_only=True)
class PartModel:
    """A model that was trained on a part of the text.

    Attributes:
        share: Of the train clusters.
        train_bytes: Text of the part.
        checkpoint: The model.
    """

    share: float
    train_bytes: int
    checkpoint: Checkpoint


def train_on_parts(
    attempt: Attempt,
    corpus: Corpus,
    *,
    model: AnyModelConfig,
    training: TrainingConfig,
    whole: Checkpoint,
    shares: Sequence[float],
    base: Base | None = None,
) -> list[PartModel]:
    """Train on each share of the train documents, as many steps as the whole training did.

    Args:
        attempt: Where it is done and who attends it.
        corpus: All of the text; its tokenizer is kept.
        model: Shape of the model.
        training: Settings of the whole training.
        whole: The whole training, whose number of steps is followed.
        shares: Below 1.
        base: The model that a pretrained one begins with.

    Raises:
        SourceError: If a part holds no text.
        TrainingInterrupted: If asked to stop; the same call goes on.
    """
    bounds = {"budget_seconds": None, "max_epochs": None, "max_steps": whole.plan().steps}
    # Another model's weights know the text that is left out.
    values = {**training.model_dump(), **bounds, "start": "scratch"}
    settings = TrainingConfig.model_validate(values)
    found = []
    for share in shares:
        part = _part(attempt.store, corpus.documents, share=share)
        if not part.num_bytes("train"):
            raise SourceError(
                f"{share:.0%} of the train documents hold no text; set"
                " gates.data_sufficiency.enabled: false, or give more text"
            )
        checkpoint = train(
            attempt,
            make_corpus(attempt.store, part, corpus.tokenizer),
            model=model,
            training=settings,
            base=base,
        )
        found.append(
            PartModel(share=share, train_bytes=part.num_bytes("train"), checkpoint=checkpoint)
        )
    return found


def _part(store: ContentStore, documents: DocumentSet, *, share: float) -> DocumentSet:
    """The documents with a share of the train clusters, the same ones for every retraining."""

    def make(folder: Path) -> dict[str, Any]:
        with RowWriter(folder) as writer:
            for document in documents.iter_documents("train", "tune"):
                if document.split == "tune" or _place(document.cluster) < share:
                    writer.add_document(document)
        return {"of": documents.key, "share": share}

    inputs = {
        "of": documents.key,
        "share": share,
        "code": code_digest("lmcore.training.trials.parts"),
    }
    return store.build(DocumentSet, inputs, make)


def _place(cluster: str) -> float:
    """Where a cluster stands between 0 and 1; smaller shares lie within larger ones."""
    return int(hashlib.sha256(f"part:{cluster}".encode()).hexdigest()[:12], 16) / 16**12
