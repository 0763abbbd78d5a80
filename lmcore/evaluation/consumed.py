"""Scores on text that was really trained on, for the overfitting gate.

In come a checkpoint's record of what it has read, as token ranges, and the shards that it
read from; out comes a `ScoreTable` over train documents.  Each is scored like any other, alone
and from its start, but **only the tokens that were consumed are counted**: a run of half an
epoch has seen parts of most documents, and its unseen parts would hide the overfitting.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from lmcore.data.documents import DocumentSet
from lmcore.data.shards import TokenStream
from lmcore.evaluation.sampling import sampled_ids
from lmcore.evaluation.scores import ScoreTable
from lmcore.evaluation.scoring import score_tokens
from lmcore.model.language_model import RecurrentAttentionLM

IntArray = NDArray[np.int64]

_ENOUGH_DOCUMENTS = 10


def score_consumed(
    model: RecurrentAttentionLM,
    *,
    documents: DocumentSet,
    stream: TokenStream,
    ranges: Sequence[tuple[int, int]],
    piece_bytes: IntArray,
    max_bytes: int,
) -> ScoreTable:
    """Score a sample of consumed train text.

    Documents of which half or more was consumed come first; only where there are fewer than
    ten of those are others taken too, since scoring them wastes most of the work.

    Args:
        model: In evaluation mode.
        documents: For names, clusters and licences.
        stream: The train tokens.
        ranges: Token ranges [start, stop) of the stream that were predicted in training.
        piece_bytes: UTF-8 bytes of each token, shape [V]; 0 for the end token.
        max_bytes: Of consumed text; more is sampled by document.
    """
    ends = np.asarray(stream.doc_ends)
    starts = np.concatenate([[0], ends[:-1]])
    consumed = _consumed_before(ranges, ends) - _consumed_before(ranges, starts)
    candidates = np.flatnonzero(2 * consumed >= ends - starts)
    if len(candidates) < _ENOUGH_DOCUMENTS:
        candidates = np.flatnonzero(consumed)
    bytes_per_token = stream.num_bytes / max(1, len(stream))
    ids = [bytes(name).decode() for name in stream.doc_ids[candidates]]
    rows = (
        {"id": identity, "num_bytes": round(float(count) * bytes_per_token)}
        for identity, count in zip(ids, consumed[candidates], strict=True)
    )
    chosen = sampled_ids(rows, max_bytes=max_bytes, purpose="train")
    place = {i: int(at) for i, at in zip(ids, candidates, strict=True) if i in chosen}
    facts = [row for row in documents.iter_rows("train") if row["id"] in place]
    tokens, counted = [], []
    for row in facts:
        start, stop = int(starts[place[row["id"]]]), int(ends[place[row["id"]]])
        tokens.append(stream.read(start, stop))
        counted.append(_mask(ranges, start, stop))
    parts = [
        SimpleNamespace(**{**row, "num_bytes": int(piece_bytes[ids[mask]].sum())})
        for row, ids, mask in zip(facts, tokens, counted, strict=True)
    ]
    table = ScoreTable.of(
        parts,
        num_tokens=[int(mask.sum()) for mask in counted],
        nll_nats=score_tokens(model, [ids[:-1] for ids in tokens], counted=counted),
    )
    return table.select(table.num_bytes > 0)


def _consumed_before(ranges: Sequence[tuple[int, int]], positions: IntArray) -> IntArray:
    """How many consumed tokens lie before each position; ranges are sorted and disjoint."""
    if not ranges:
        return np.zeros(len(positions), dtype=np.int64)
    bounds = np.array(ranges, dtype=np.int64)
    whole = np.concatenate([[0], np.cumsum(bounds[:, 1] - bounds[:, 0])])
    index = np.searchsorted(bounds[:, 0], positions, side="right")
    inside = np.maximum(0, bounds[index - 1, 1] - positions)
    return np.where(index > 0, whole[index] - inside, 0)


def _mask(ranges: Sequence[tuple[int, int]], start: int, stop: int) -> NDArray[np.bool_]:
    mask = np.zeros(stop - start, dtype=np.bool_)
    for low, high in ranges:
        mask[max(0, low - start) : max(0, high - start)] = True
    return mask
