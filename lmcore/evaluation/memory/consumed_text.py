"""Text that was really trained on, scored for the overfitting gate.

In come a checkpoint's record of what it has read, as token ranges, and the shards that it
read from; out comes a sample of train documents, and a `ScoreTable` over them.  Each is scored
like any other, alone and from its start, but **only the tokens that were consumed are
counted**: a run of half an epoch has seen parts of most documents, and their unseen parts would
hide the overfitting.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lmcore.data.tokens.canaries import canary_id
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.text_bytes import own_bytes
from lmcore.evaluation.scores.scoring import NatsArray, score_each
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.sampling import sampled
from lmcore.model.language_model import LanguageModel

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_ENOUGH_DOCUMENTS = 10


@dataclass(frozen=True, kw_only=True)
class ConsumedSample:
    """N train documents of which at least a part was consumed.

    Attributes:
        facts: What a table keeps of each; `num_bytes` counts the consumed text only.
        tokens: Of each whole document, without its end token.
        counted: Which targets were consumed, the end token included; one more than tokens.
        sizes: Bytes of the document that each of its tokens stands for.
        texts: UTF-8 bytes of each whole document.
        counted_bytes: The same as `counted` for the bytes and the end.
    """

    facts: Sequence[Any]
    tokens: Sequence[IntArray]
    counted: Sequence[BoolArray]
    sizes: Sequence[IntArray]
    texts: Sequence[bytes]
    counted_bytes: Sequence[BoolArray]

    def cut(self) -> Self:
        """The same without what comes behind the last consumed token of each document.

        It is not counted, and scoring it costs as much as what is.
        """
        read = [tokens_read(mask) for mask in self.counted]
        return replace(
            self,
            tokens=[tokens[:size] for tokens, size in zip(self.tokens, read, strict=True)],
            sizes=[sizes[:size] for sizes, size in zip(self.sizes, read, strict=True)],
            # The end that the scorer puts behind a part is no target of anybody.
            counted=[
                mask if size == len(mask) - 1 else np.append(mask[:size], False)
                for mask, size in zip(self.counted, read, strict=True)
            ],
        )

    @property
    def clusters(self) -> frozenset[str]:
        """Clusters of near-copies that the sample touches."""
        return frozenset(str(fact.cluster) for fact in self.facts)

    def table(self, nll_nats: NDArray[np.float64]) -> ScoreTable:
        """A table from nats by document, shape [N]."""
        sizes = [int(mask.sum()) for mask in self.counted]
        return ScoreTable.of(self.facts, num_tokens=sizes, nll_nats=nll_nats)

    def scored_by(
        self,
        model: LanguageModel,
        *,
        on_scored: Callable[[int, NatsArray], None] | None = None,
        on_read: Callable[[float], None] | None = None,
    ) -> ScoreTable:
        """Score the consumed text.

        Args:
            model: In evaluation mode.
            on_scored: Told the row of each document and its nats by token, end token included.
            on_read: Told the share that is read.
        """
        each = score_each(model, self.tokens, on_read=on_read)
        for row, nats in enumerate(each if on_scored is not None else ()):
            assert on_scored is not None
            on_scored(row, nats)
        sums = [
            nats[mask].sum(dtype=np.float64) for nats, mask in zip(each, self.counted, strict=True)
        ]
        return self.table(np.array(sums, dtype=np.float64))


def sample_consumed(
    corpus: Corpus,
    *,
    ranges: Sequence[tuple[int, int]],
    max_bytes: int,
    most: int | None = None,
) -> ConsumedSample:
    """Choose train documents that were consumed.

    Documents of which half or more was consumed come first; only where there are fewer than
    ten of those are others taken too, since scoring them wastes most of the work.

    Args:
        corpus: Whose train stream was read.
        ranges: Token ranges [start, stop) of the stream that were predicted in training.
        max_bytes: Of consumed text; more is sampled by document.
        most: Documents; None: as many as that.
    """
    stream, pieces = corpus.train_stream, corpus.loaded.pieces
    ends = np.asarray(stream.doc_ends)
    starts = np.concatenate([[0], ends[:-1]])
    place = _consumed_documents(corpus, ranges=ranges, max_bytes=max_bytes)
    if most is not None:
        place = dict(itertools.islice(place.items(), most))
    piece_bytes = np.array([len(piece) for piece in pieces], dtype=np.int64)
    parts = []
    for row in corpus.documents.iter_rows("train"):
        if row["id"] not in place:
            continue
        start, stop = int(starts[place[row["id"]]]), int(ends[place[row["id"]]])
        targets, mask = stream.read(start, stop), consumed_mask(ranges, start, stop)
        tokens = targets[:-1]
        sizes = own_bytes(piece_bytes[tokens], row["num_bytes"])
        num_bytes = int(sizes[mask[:-1]].sum())
        if num_bytes:
            fact = SimpleNamespace(**{**row, "num_bytes": num_bytes})
            parts.append((fact, tokens, mask, sizes))
    spelled = [b"".join([pieces[token] for token in tokens]) for _, tokens, _, _ in parts]
    return ConsumedSample(
        facts=[fact for fact, *_ in parts],
        tokens=[tokens for _, tokens, _, _ in parts],
        counted=[mask for _, _, mask, _ in parts],
        sizes=[sizes for *_, sizes in parts],
        texts=_texts(corpus, spelled, [fact.id for fact, *_ in parts], [s for *_, s in parts]),
        counted_bytes=[
            np.append(np.repeat(mask[:-1], sizes), mask[-1:]) for _, _, mask, sizes in parts
        ],
    )


def _texts(
    corpus: Corpus, spelled: list[bytes], ids: Sequence[str], sizes: Sequence[IntArray]
) -> list[bytes]:
    """What the tokens spell, or the documents themselves where the tokenizer may change them."""
    changes = bool(corpus.tokenizer.summary.get("may_lose"))
    changed = {
        identity: row
        for row, (identity, text, own) in enumerate(zip(ids, spelled, sizes, strict=True))
        if changes or len(text) != own.sum()
    }
    for document in corpus.documents.iter_documents("train") if changed else ():
        if document.id in changed:
            spelled[changed[document.id]] = document.text.encode()
    return spelled


def consumed_lengths(
    corpus: Corpus, *, ranges: Sequence[tuple[int, int]], max_bytes: int
) -> list[int]:
    """Tokens to be read of each document of the sample once it is cut, in the order of choice."""
    ends = np.asarray(corpus.train_stream.doc_ends)
    starts = np.concatenate([[0], ends[:-1]])
    chosen = _consumed_documents(corpus, ranges=ranges, max_bytes=max_bytes)
    return [
        tokens_read(consumed_mask(ranges, int(starts[at]), int(ends[at]))) for at in chosen.values()
    ]


def tokens_read(counted: BoolArray) -> int:
    """How many tokens of a document are read so that its last consumed target is scored.

    Args:
        counted: Of each token and of the end behind them, shape [T + 1].
    """
    found = np.flatnonzero(counted)
    return min(len(counted) - 1, int(found[-1]) + 1) if len(found) else 0


def _consumed_documents(
    corpus: Corpus, *, ranges: Sequence[tuple[int, int]], max_bytes: int
) -> dict[str, int]:
    """Chosen documents: id to place in the stream, in the order of choice."""
    stream = corpus.train_stream
    ends = np.asarray(stream.doc_ends)
    starts = np.concatenate([[0], ends[:-1]])
    consumed = _consumed_before(ranges, ends) - _consumed_before(ranges, starts)
    place = _documents_at(corpus, np.flatnonzero(2 * consumed >= ends - starts))
    if len(place) < _ENOUGH_DOCUMENTS:
        place = _documents_at(corpus, np.flatnonzero(consumed))
    bytes_per_token = stream.num_bytes / max(1, len(stream))
    rows = (
        {"id": identity, "num_bytes": round(float(consumed[at]) * bytes_per_token)}
        for identity, at in place.items()
    )
    taken = sampled(rows, max_bytes=max_bytes, purpose="train")
    return {identity: place[identity] for identity, _ in taken}


def _documents_at(corpus: Corpus, places: IntArray) -> dict[str, int]:
    """Id and place of the documents at places of the train stream, where canaries stand too."""
    canaries = corpus.shards.canaries()
    planted = {canary_id(text) for text in canaries.texts} if canaries else set()
    ids = (bytes(name).decode() for name in corpus.train_stream.doc_ids[places])
    named = zip(ids, places.tolist(), strict=True)
    return {identity: at for identity, at in named if identity not in planted}


def _consumed_before(ranges: Sequence[tuple[int, int]], positions: IntArray) -> IntArray:
    """How many consumed tokens lie before each position; ranges are sorted and disjoint."""
    if not ranges:
        return np.zeros(len(positions), dtype=np.int64)
    bounds = np.array(ranges, dtype=np.int64)
    whole = np.concatenate([[0], np.cumsum(bounds[:, 1] - bounds[:, 0])])
    index = np.searchsorted(bounds[:, 0], positions, side="right")
    inside = np.maximum(0, bounds[index - 1, 1] - positions)
    return np.where(index > 0, whole[index] - inside, 0)


def consumed_mask(ranges: Sequence[tuple[int, int]], start: int, stop: int) -> BoolArray:
    """Which tokens of [start, stop) were consumed; ranges are sorted and disjoint."""
    mask = np.zeros(stop - start, dtype=np.bool_)
    first = bisect.bisect_right(ranges, start, key=lambda bounds: bounds[1])
    rest = itertools.islice(ranges, first, None)
    for low, high in itertools.takewhile(lambda bounds: bounds[0] < stop, rest):
        mask[max(0, low - start) : high - start] = True
    return mask
