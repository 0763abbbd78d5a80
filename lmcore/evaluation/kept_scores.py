"""Scores of an evaluation that goes on where it was killed: nats are asked for once.

In: a model, text, and the kept parts.  Out: the table that scoring gives, and each document told to
who takes notes, whether the nats come from the model now or from before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from lmcore.data.documents import Document
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.kept_parts import Arrays, KeptParts, joined, split
from lmcore.evaluation.memory.consumed_text import ConsumedSample
from lmcore.evaluation.scores.scoring import IntArray, NatsArray, OnScored, score_documents
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.model.language_model import LanguageModel


def score_once(
    parts: KeptParts,
    name: str,
    model: LanguageModel,
    tokenizer: Tokenizer,
    documents: Callable[[], Iterable[Document]],
    *,
    on_progress: Callable[[int], None],
    on_scored: OnScored,
) -> ScoreTable:
    """`score_documents`, unless it was done before.

    Args:
        parts: Where nats are kept.
        name: Of this part; says which model reads which documents.
        model: In evaluation mode.
        tokenizer: Its own.
        documents: Streams them, the same ones each time.
        on_progress: Told how many are finished.
        on_scored: Told each document, its tokens and its nats, in order.
    """
    told, tables = list[NatsArray](), list[ScoreTable]()

    def note(document: Document, tokens: IntArray, nats: NatsArray) -> None:
        told.append(nats)
        on_scored(document, tokens, nats)

    def ask() -> Arrays:
        tables.append(
            score_documents(model, tokenizer, documents(), on_progress=on_progress, on_scored=note)
        )
        return joined("nats", told)

    each = split("nats", parts.arrays(name, ask))
    if tables:
        return tables[0]
    facts, sizes, sums = [], [], []
    for document, nats in zip(documents(), each, strict=True):
        (ids,) = tokenizer.encode_batch([document.text])
        on_scored(document, np.asarray(ids, dtype=np.int64), nats)
        facts.append(document)
        sizes.append(len(nats))
        sums.append(nats.sum(dtype=np.float64))
    on_progress(len(facts))
    return ScoreTable.of(facts, num_tokens=sizes, nll_nats=sums)


def score_sample_once(
    parts: KeptParts,
    name: str,
    sample: ConsumedSample,
    model: LanguageModel,
    *,
    on_scored: Callable[[int, NatsArray], None],
    on_read: Callable[[float], None],
) -> ScoreTable:
    """`ConsumedSample.scored_by`, unless it was done before.

    Args:
        parts: Where nats are kept.
        name: Of this part; says which model reads.
        sample: Of the consumed text.
        model: In evaluation mode.
        on_scored: Told the row of each document and its nats.
        on_read: Told the share that is read.
    """
    told, tables = list[NatsArray](), list[ScoreTable]()

    def note(row: int, nats: NatsArray) -> None:
        told.append(nats)
        on_scored(row, nats)

    def ask() -> Arrays:
        tables.append(sample.scored_by(model, on_scored=note, on_read=on_read))
        return joined("nats", told)

    each = split("nats", parts.arrays(f"nats of {name}", ask))
    if tables:
        return tables[0]
    for row, nats in enumerate(each):
        on_scored(row, nats)
    on_read(1.0)
    sums = [
        nats[mask].sum(dtype=np.float64) for nats, mask in zip(each, sample.counted, strict=True)
    ]
    return sample.table(np.array(sums, dtype=np.float64))
