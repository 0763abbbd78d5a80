"""Score documents with a model: each one alone, from the fresh state, many at a time.

In come a model, its tokenizer and a stream of documents; out comes a `ScoreTable`.
A document is read as [end, t1 .. tn] and must predict [t1 .. tn, end].  Since an end
token resets the model, documents can stand one behind the other in a lane and still be
scored alone; so lanes are filled evenly (longest document first, always into the shortest
lane), read in chunks, and dropped as they run dry.  Nothing is padded but their last chunk.

Memory is bounded by `WINDOW_BYTES` of text and `max_lanes * chunk_tokens` features, whatever
the corpus; logits are held a few rows at a time (`lmcore.model.head`).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmcore.data.documents import Document
from lmcore.data.tokenizer import Tokenizer
from lmcore.evaluation.scores import ScoreTable
from lmcore.model.language_model import RecurrentAttentionLM

MAX_LANES = 32
CHUNK_TOKENS = 128
WINDOW_BYTES = 32 << 20

IntArray = NDArray[np.int64]


def score_documents(
    model: RecurrentAttentionLM,
    tokenizer: Tokenizer,
    documents: Iterable[Document],
    *,
    max_lanes: int = MAX_LANES,
    chunk_tokens: int = CHUNK_TOKENS,
    on_progress: Callable[[int], None] | None = None,
) -> ScoreTable:
    """Negative log-likelihood of every document, in float32, summed in float64.

    A document's score depends on no other document, on no lane and no chunk but for
    rounding (a relative 1e-5 at most).

    Args:
        model: Any device; switched to evaluation mode for the duration.
        tokenizer: The one that the model was trained with.
        documents: Streamed; the rows of the result are in this order.
        max_lanes: Documents read side by side.
        chunk_tokens: Tokens of a lane read at once.
        on_progress: Called with the number of documents finished, from time to time.

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
            tables.append(
                ScoreTable.of(
                    window,
                    num_tokens=[len(ids) + 1 for ids in tokens],
                    nll_nats=score_tokens(
                        model, tokens, lanes=max_lanes, chunk_tokens=chunk_tokens
                    ),
                )
            )
            finished += len(window)
            if on_progress is not None:
                on_progress(finished)
    finally:
        model.train(was_training)
    return ScoreTable.joined(tables)


@torch.inference_mode()
def score_tokens(
    model: RecurrentAttentionLM,
    tokens: Sequence[IntArray],
    *,
    lanes: int = MAX_LANES,
    chunk_tokens: int = CHUNK_TOKENS,
    counted: Sequence[NDArray[np.bool_]] | None = None,
) -> NDArray[np.float64]:
    """Nats of each of N token sequences, end token included, each from the fresh state.

    Args:
        model: In evaluation mode.
        tokens: N sequences without end tokens.
        lanes: Sequences read side by side.
        chunk_tokens: Tokens of a lane read at once.
        counted: Which targets of each sequence to sum, its length plus one; None: all.

    Returns:
        Shape [N].
    """
    streams, owners, weights = [], [], []
    for members in _filled_lanes([len(ids) + 1 for ids in tokens], lanes):
        end = np.array([model.end_id])
        streams.append(np.concatenate([end, *(np.append(tokens[i], end) for i in members)]))
        owners.append(np.repeat(members, [len(tokens[i]) + 1 for i in members]))
        if counted is not None:
            weights.append(np.concatenate([counted[i] for i in members]))
    device = model.embedding.weight.device
    nll = np.zeros(len(tokens))
    if not streams:
        return nll
    lengths = [len(owner) for owner in owners]  # longest first
    state = model.fresh_state(len(lengths))
    with torch.autocast(device.type, enabled=False):
        for start in range(0, lengths[0], chunk_tokens):
            active = sum(length > start for length in lengths)
            if active < len(state.layers[0][0]):
                state = state.select(range(active))
            stop = min(start + chunk_tokens, lengths[0])
            inputs = _stacked(streams[:active], start, stop, device)
            targets = _stacked(streams[:active], start + 1, stop + 1, device)
            features, state = model.features(inputs, state)
            found = model.target_nll(features, targets).double().cpu().numpy()
            for lane in range(active):
                owner = owners[lane][start:stop]
                nats = found[lane, : len(owner)]
                if weights:
                    nats = np.where(weights[lane][start:stop], nats, 0.0)
                np.add.at(nll, owner, nats)
    return nll


def _stacked(streams: Sequence[IntArray], start: int, stop: int, device: torch.device) -> Tensor:
    batch = np.zeros((len(streams), stop - start), dtype=np.int64)
    for lane, stream in enumerate(streams):
        part = stream[start:stop]
        batch[lane, : len(part)] = part
    return torch.from_numpy(batch).to(device)


def _filled_lanes(lengths: Sequence[int], lanes: int) -> list[list[int]]:
    """Deal documents to lanes: longest processing time first (Graham 1969); longest lane first."""
    loads = [(0, lane) for lane in range(min(lanes, len(lengths)))]
    members: list[list[int]] = [[] for _ in loads]
    for document in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        load, lane = heapq.heappop(loads)
        members[lane].append(document)
        heapq.heappush(loads, (load + lengths[document], lane))
    return [members[lane] for _, lane in sorted(loads, reverse=True)]


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
