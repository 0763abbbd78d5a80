"""How the cost of training grows: with the sequence length, and with the size of the corpus.

    python -m benchmarks.scaling           about four minutes
    python -m benchmarks.scaling --quick   the ends alone, short

Each point is a fresh process that trains on seeded random tokens in memory-mapped shards: batch,
loss, backward, clip and optimizer as in the training loop, in float32. With the sequence length,
32 to 4,096, a step has always 4,096 tokens, so that only the number of lanes differs; with the
corpus, 0.1 to 100 million tokens, all else is equal. Random tokens cost what text costs, but
teach nothing.

Tokens per second are those of the median step, its batch included. Memory is the most that
the process ever held, of which `megabytes_before` had been taken before the first step.
`growth_*` are exponents p of cost = c * size ** p: 0 means that the cost does not grow.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.arithmetic import growth
from benchmarks.process_memory import peak_megabytes
from benchmarks.recording import in_child, parser, record, workspace
from lmcore.data.tokens.batches import BatchOrder
from lmcore.data.tokens.layout import plan_layout
from lmcore.data.tokens.token_stream import TokenStream
from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model
from lmcore.model.loss import sequence_loss
from lmcore.training.optimizer import make_optimizer, set_learning_rate

VOCABULARY = 1024
STEP_TOKENS = 4096
SEQUENCE_LENGTHS = (32, 64, 128, 256, 512, 1024, 2048, 4096)
CORPUS_TOKENS = (100_000, 1_000_000, 10_000_000, 100_000_000)
USUAL_LENGTH, USUAL_CORPUS = 128, 1_000_000
MODEL = ModelConfig(pattern="LA", d_model=256, dropout=0.1)
DOCUMENT_TOKENS = 2000
_WARMUP_STEPS = 2
_WRITTEN = 1 << 20


def write_stream(path: Path, tokens: int) -> None:
    """Random tokens with an end token after each document, a little at a time."""
    rng = np.random.default_rng(0)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint16, shape=(tokens,))
    for start in range(0, tokens, _WRITTEN):
        stop = min(tokens, start + _WRITTEN)
        array[start:stop] = rng.integers(0, VOCABULARY - 1, stop - start, dtype=np.uint16)
    array[DOCUMENT_TOKENS - 1 :: DOCUMENT_TOKENS] = VOCABULARY - 1
    array[-1] = VOCABULARY - 1
    array.flush()


def open_stream(path: Path) -> TokenStream:
    """The file as the stream of a split."""
    array = np.load(path, mmap_mode="r")
    ends = np.arange(DOCUMENT_TOKENS, len(array) + DOCUMENT_TOKENS, DOCUMENT_TOKENS)
    ends = np.minimum(ends, len(array)).astype(np.int64)
    return TokenStream(
        shards=(array,),
        doc_ends=ends,
        doc_ids=np.zeros(len(ends), dtype="S64"),
        end_id=VOCABULARY - 1,
        num_bytes=2 * len(array),
        fingerprint="scaling",
    )


def measure(point: dict[str, Any]) -> dict[str, float]:
    """Train for some seconds; this runs in the child."""
    stream = open_stream(Path(point["path"]))
    length = point["sequence_length"]
    layout = plan_layout(len(stream), batch_size=STEP_TOKENS // length, sequence_length=length)
    order = BatchOrder(stream=stream, layout=layout, seed=0)
    model = new_model(
        MODEL, vocab_size=VOCABULARY, end_id=VOCABULARY - 1, seed=0, device="cpu"
    ).train()
    optimizer = make_optimizer(model, weight_decay=0.01)
    set_learning_rate(optimizer, 1e-4)
    before = peak_megabytes()
    state, times, began = None, [], time.perf_counter()
    while len(times) <= _WARMUP_STEPS or time.perf_counter() - began < point["seconds"]:
        start = time.perf_counter()
        batch = order.batch(len(times))
        loss = sequence_loss(
            model,
            torch.from_numpy(batch.inputs.copy()),
            torch.from_numpy(batch.targets.copy()),
            state=None if batch.fresh else state,
            rng=torch.Generator().manual_seed(len(times)),
        )
        model.zero_grad(set_to_none=True)
        (loss.sum_nll / loss.sum_weight).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = loss.state.detach()
        times.append(time.perf_counter() - start)
    step = statistics.median(times[_WARMUP_STEPS:])
    return {
        "tokens_per_second": layout.tokens_per_step / step,
        "seconds_per_token": step / layout.tokens_per_step,
        "tokens_per_step": layout.tokens_per_step,
        "steps": len(times),
        "peak_megabytes": peak_megabytes(),
        "megabytes_before": before,
        "threads": torch.get_num_threads(),
    }


def series(points: list[dict[str, Any]], *, size: str) -> dict[str, Any]:
    """Points along one axis, and how the cost grows along it."""
    sizes = [point[size] for point in points]
    return {
        "points": points,
        "growth_of_seconds_per_token": growth(sizes, [p["seconds_per_token"] for p in points]),
        "growth_of_peak_memory": growth(sizes, [p["peak_megabytes"] for p in points]),
        "slowest_over_fastest": max(p["seconds_per_token"] for p in points)
        / min(p["seconds_per_token"] for p in points),
    }


def main() -> None:
    """Measure and write `benchmarks/results/scaling.json`."""
    options = parser(__doc__)
    options.add_argument("--point", help="measure one point, as JSON; for the child processes")
    options.add_argument("--seconds", type=float, default=8.0, help="of each point")
    given = options.parse_args()
    if given.point:
        print(json.dumps(measure(json.loads(given.point))))
        return
    seconds = 0.5 if given.quick else given.seconds
    lengths = (32, 4096) if given.quick else SEQUENCE_LENGTHS
    corpora = (100_000, 1_000_000) if given.quick else CORPUS_TOKENS
    with workspace("scaling") as name:

        def run(*, length: int, tokens: int) -> dict[str, Any]:
            path = Path(name) / f"{tokens}.npy"
            if not path.exists():
                write_stream(path, tokens)
            point = {"path": str(path), "sequence_length": length, "seconds": seconds}
            found = in_child("benchmarks.scaling", point)
            print(f"length {length}, corpus {tokens:,}: {found}", flush=True)
            return {"sequence_length": length, "corpus_tokens": tokens, **found}

        by_length = [run(length=length, tokens=USUAL_CORPUS) for length in lengths]
        by_corpus = [run(length=USUAL_LENGTH, tokens=tokens) for tokens in corpora]
    results = {
        "what": "cost of training against sequence length and corpus size, fresh process each",
        "model": MODEL.model_dump(mode="json"),
        "vocabulary": VOCABULARY,
        "step_tokens": STEP_TOKENS,
        "by_sequence_length": series(by_length, size="sequence_length"),
        "by_corpus": series(by_corpus, size="corpus_tokens"),
    }
    record("scaling", results, given)


if __name__ == "__main__":
    main()
