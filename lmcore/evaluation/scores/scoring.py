"""Score documents with a model: each one alone, from the fresh state, many at a time.

In come a model, its tokenizer and a stream of documents; out comes a `ScoreTable`.
A document is read as [end, t1 .. tn] and must predict [t1 .. tn, end].  Since an end
token resets the model, documents can stand one behind the other in a lane and still be
scored alone; so lanes are filled evenly (longest document first, always into the shortest
lane), read in chunks, and dropped as they run dry.  Nothing is padded but their last chunk.

How many lanes and how long a chunk is best, the model says (`LanguageModel.reading`), and whether
each core reads lanes of its own (`lmcore.evaluation.scores.cores`).  Memory is
bounded by `WINDOW_BYTES` of text and `max_lanes * chunk_tokens` features, whatever the corpus;
logits are held a few rows at a time by the model's `target_nll`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmcore.data.documents import Document
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.scores.cores import cores_for, work_apart
from lmcore.evaluation.scores.table import NATS_PER_BIT, ScoreTable
from lmcore.evaluation.statistics.intervals import Ratio, Sample
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.metric import Metric
from lmcore.model.language_model import LanguageModel

WINDOW_BYTES = 32 << 20

BITS_PER_BYTE = Metric(
    name="bits_per_byte",
    title="bits per byte",
    unit="bits/byte",
    higher_is_better=False,
    places=".4f",
)

IntArray = NDArray[np.int64]
NatsArray = NDArray[np.float32]
#: Told each document, its tokens and the nats of each of them and of the end token.
OnScored = Callable[[Document, IntArray, NatsArray], None]


def measured_bits(table: ScoreTable) -> Measured:
    """Bits per byte of a model, as gates read it; the same for n-grams.

    Source: The Pile, arXiv:2101.00027, section 3.1.
    """
    return Measured(
        metric=BITS_PER_BYTE,
        id=table.id,
        sample=Sample(
            sums=np.stack([table.nll_nats, table.num_bytes], axis=1).astype(np.float64),
            score=Ratio(per=NATS_PER_BIT),
            cluster=table.cluster,
        ),
    )


def score_documents(
    model: LanguageModel,
    tokenizer: Tokenizer,
    documents: Iterable[Document],
    *,
    max_lanes: int | None = None,
    chunk_tokens: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    on_scored: OnScored | None = None,
) -> ScoreTable:
    """Negative log-likelihood of every document, in float32, summed in float64.

    A document's score depends on no other document, on no lane and no chunk but for
    rounding (a relative 1e-5 at most).

    Args:
        model: Any device; switched to evaluation mode for the duration.
        tokenizer: The one that the model was trained with.
        documents: Streamed; the rows of the result are in this order.
        max_lanes: Documents read side by side; None: as the model is best fed.
        chunk_tokens: Tokens of a lane read at once; None: likewise.
        on_progress: Called with the number of documents finished, or as much of them, from time to
            time.
        on_scored: Called with each document and its nats by token, in order.

    Raises:
        AlignmentError: If a document comes twice.
    """
    assert tokenizer.vocab_size == model.vocab_size, (tokenizer.vocab_size, model.vocab_size)
    tables, finished, was_training = [], 0, model.training
    model.eval()
    try:
        for window in _windows(documents):
            tokens = [
                np.asarray(ids, dtype=np.int64)
                for ids in tokenizer.encode_batch([document.text for document in window])
            ]
            nats = score_each(
                model,
                tokens,
                lanes=max_lanes,
                chunk_tokens=chunk_tokens,
                on_read=_of_window(on_progress, finished, len(window)),
            )
            tables.append(
                ScoreTable.of(
                    window,
                    num_tokens=[len(ids) + 1 for ids in tokens],
                    nll_nats=[found.sum(dtype=np.float64) for found in nats],
                )
            )
            if on_scored is not None:
                for document, ids, found in zip(window, tokens, nats, strict=True):
                    on_scored(document, ids, found)
            finished += len(window)
            if on_progress is not None:
                on_progress(finished)
    finally:
        model.train(was_training)
    return ScoreTable.joined(tables)


def score_tokens(
    model: LanguageModel,
    tokens: Sequence[IntArray],
    *,
    lanes: int | None = None,
    chunk_tokens: int | None = None,
    counted: Sequence[NDArray[np.bool_]] | None = None,
) -> NDArray[np.float64]:
    """Nats of each of N token sequences, end token included, each from the fresh state.

    Args:
        model: In evaluation mode.
        tokens: N sequences without end tokens.
        lanes: Sequences read side by side; None: as the model is best fed.
        chunk_tokens: Tokens of a lane read at once; None: likewise.
        counted: Which targets of each sequence to sum, its length plus one; None: all.

    Returns:
        Shape [N].
    """
    nats = score_each(model, tokens, lanes=lanes, chunk_tokens=chunk_tokens)
    if counted is not None:
        nats = [found[mask] for found, mask in zip(nats, counted, strict=True)]
    return np.array([found.sum(dtype=np.float64) for found in nats], dtype=np.float64)


def score_each(
    model: LanguageModel,
    tokens: Sequence[IntArray],
    *,
    lanes: int | None = None,
    chunk_tokens: int | None = None,
    on_read: Callable[[float], None] | None = None,
) -> list[NatsArray]:
    """Nats of every token of N sequences and of the end behind it, each from the fresh state.

    Args:
        model: In evaluation mode.
        tokens: N sequences without end tokens.
        lanes: Sequences read side by side; None: as the model is best fed.
        chunk_tokens: Tokens of a lane read at once; None: likewise.
        on_read: Told the share that is read, from time to time.

    Returns:
        For each sequence an array of its length plus one.
    """
    nats: list[NatsArray] = [np.zeros(0, dtype=np.float32)] * len(tokens)
    dealt = _filled_lanes([len(ids) + 1 for ids in tokens], lanes or model.reading.lanes)
    cores = cores_for(model, len(dealt))
    work_apart(
        [
            _read_lanes(
                model,
                tokens,
                dealt[core::cores],
                chunk_tokens=chunk_tokens or model.reading.chunk_tokens,
                nats=nats,
            )
            for core in range(cores)
        ],
        model=model,
        of=sum(len(ids) + 1 for ids in tokens),
        on_done=on_read,
    )
    return nats


def _read_lanes(
    model: LanguageModel,
    tokens: Sequence[IntArray],
    dealt: Sequence[Sequence[int]],
    *,
    chunk_tokens: int,
    nats: list[NatsArray],
) -> Iterator[int]:
    """Read lanes chunk by chunk; yields how many tokens each chunk had.

    Args:
        model: In evaluation mode.
        tokens: All sequences.
        dealt: The sequences of each lane, longest lane first.
        chunk_tokens: Tokens of a lane at once.
        nats: Where the results of these sequences are put.
    """
    if not dealt:
        return
    end = np.array([model.end_id])
    streams = [
        np.concatenate([end, *(np.append(tokens[i], end) for i in members)]) for members in dealt
    ]
    device = model.device
    # What pads a lane that has run dry must not look like the start of documents.
    filler = int(model.end_id == 0)
    lengths = [len(stream) - 1 for stream in streams]
    of_lane = [np.empty(length, dtype=np.float32) for length in lengths]
    state = model.fresh_state(len(lengths))
    for start in range(0, lengths[0], chunk_tokens):
        active = sum(length > start for length in lengths)
        if active < state.num_lanes:
            state = state.select(range(active))
        stop = min(start + chunk_tokens, lengths[0])
        inputs = _stacked(streams[:active], start, stop, filler)
        targets = _stacked(streams[:active], start + 1, stop + 1, filler)
        features, state = model.features(inputs.to(device), state)
        found = model.target_nll(features, targets.to(device)).cpu().numpy()
        for lane in range(active):
            part = of_lane[lane][start:stop]
            part[:] = found[lane, : len(part)]
        yield sum(min(length, stop) - start for length in lengths[:active])
    for members, found in zip(dealt, of_lane, strict=True):
        cuts = np.cumsum([len(tokens[i]) + 1 for i in members])[:-1]
        for i, own in zip(members, np.split(found, cuts), strict=True):
            nats[i] = own


def _stacked(streams: Sequence[IntArray], start: int, stop: int, filler: int) -> Tensor:
    batch = np.full((len(streams), stop - start), filler, dtype=np.int64)
    for lane, stream in enumerate(streams):
        part = stream[start:stop]
        batch[lane, : len(part)] = part
    return torch.from_numpy(batch)


def _filled_lanes(lengths: Sequence[int], lanes: int) -> list[list[int]]:
    """Deal documents to lanes: longest processing time first (Graham 1969); longest lane first."""
    loads = [(0, lane) for lane in range(min(lanes, len(lengths)))]
    members: list[list[int]] = [[] for _ in loads]
    for document in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        load, lane = heapq.heappop(loads)
        members[lane].append(document)
        heapq.heappush(loads, (load + lengths[document], lane))
    return [members[lane] for _, lane in sorted(loads, reverse=True)]


def _of_window(
    tell: Callable[[int], None] | None, before: int, documents: int
) -> Callable[[float], None] | None:
    """Says the share of a window as documents; all of them are told when they are scored."""
    if tell is None:
        return None
    return lambda share: tell(before + min(documents - 1, int(share * documents)))


def _windows(documents: Iterable[Document]) -> Iterator[list[Document]]:
    window: list[Document] = []
    held = 0
    for document in documents:
        window.append(document)
        held += document.num_bytes
        if held >= WINDOW_BYTES:
            yield window
            window, held = [], 0
    if window:
        yield window
