"""Speed and memory of sampling, against nanoGPT with the same number of parameters.

    python -m benchmarks.generation --nanogpt PATH    about half an hour, almost all of it nanoGPT's
    python -m benchmarks.generation                   ours alone, about two minutes
    python -m benchmarks.generation --quick [--nanogpt PATH]

Each point is a fresh process that samples one text of 100, 1,000 or 10,000 tokens from a prompt of
one token, after a warm-up of ten; once on one core and once on all. The models are untrained,
as weights do not change the work: ours must not end the document, so its end token is given no
probability. Both sides draw from the whole distribution at temperature 0.8. nanoGPT's `generate`
reads its block again for each token; its width is chosen for the number of parameters nearest
to ours, with 4 layers and blocks of 64, 256 and 1,024.

`cost_of_a_token_10000_over_1000` near 1 means that time is linear in the length.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import nanogpt
from benchmarks.process_memory import peak_megabytes
from benchmarks.recording import NOT_RUN, in_child, parser, record
from lmcore.data.tokens.vocabularies import ByteTokenizer
from lmcore.model.config import ModelConfig
from lmcore.model.generation import GenerationConfig, generate
from lmcore.model.language_model import Features
from lmcore.model.recurrent.model import RecurrentAttentionLM

LENGTHS = (100, 1000, 10_000)
BLOCKS = (64, 256, 1024)
LAYERS = HEADS = 4
TEMPERATURE = 0.8
WARMUP_TOKENS = 10
MODEL = ModelConfig(pattern="LA", d_model=384, embedding_dim=64, window=128)


class Endless(RecurrentAttentionLM):
    """Our model without the end of a document."""

    def logits(self, features: Features) -> Tensor:
        """Scores with the end token ruled out."""
        scores = super().logits(features)
        scores[..., self.end_id] = -torch.inf
        return scores


def own_model() -> Endless:
    """Ours, untrained, over bytes."""
    codec = ByteTokenizer()
    torch.manual_seed(0)
    return Endless(MODEL, codec.vocab_size, codec.end_id).eval()


def peer_shape(parameters: int, *, block: int) -> dict[str, Any]:
    """Arguments of a nanoGPT of about so many parameters; 12 * L * d^2 plus embeddings."""
    vocabulary = ByteTokenizer().vocab_size

    def count(width: int) -> int:
        norms = (2 * LAYERS + 1) * width
        return 12 * LAYERS * width**2 + (vocabulary + block) * width + norms

    width = min(range(8, 4096, 8), key=lambda w: abs(count(w) - parameters))
    return {
        "n_layer": LAYERS,
        "n_head": HEADS,
        "n_embd": width,
        "block_size": block,
        "vocab_size": vocabulary,
        "dropout": 0.0,
        "bias": False,
    }


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Sample one text; this runs in the child."""
    length = point["length"]
    if point["nanogpt"] is None:
        own, codec = own_model(), ByteTokenizer()
        parameters = own.num_parameters

        def sample(tokens: int) -> int:
            config = GenerationConfig(max_tokens=tokens, temperature=TEMPERATURE, top_p=1.0)
            return generate(own, codec, "", config).tokens

    else:
        peer = nanogpt.new_model(Path(point["nanogpt"]), **point["shape"]).eval()
        parameters = nanogpt.num_parameters(peer)

        def sample(tokens: int) -> int:
            first = torch.zeros(1, 1, dtype=torch.long)
            return peer.generate(first, tokens, temperature=TEMPERATURE).shape[1] - 1

    sample(WARMUP_TOKENS)
    before = peak_megabytes()
    start = time.perf_counter()
    tokens = sample(length)
    seconds = time.perf_counter() - start
    assert tokens == length, (tokens, length)
    return {
        "length": length,
        "seconds": seconds,
        "tokens_per_second": length / seconds,
        "peak_megabytes": peak_megabytes(),
        "megabytes_more_than_after_ten_tokens": peak_megabytes() - before,
        "parameters": parameters,
    }


def side(
    *, lengths: tuple[int, ...], threads: int | None, checkout: str | None, block: int | None
) -> dict[str, Any]:
    """All lengths of one side."""
    shape = None
    if block is not None:
        shape = peer_shape(own_model().num_parameters, block=block)
    points = []
    for length in lengths:
        point = {"nanogpt": checkout, "shape": shape, "length": length}
        points.append(in_child("benchmarks.generation", point, threads=threads))
        print(f"threads {threads or 'all'}, block {block}: {points[-1]}", flush=True)
    costs = {point["length"]: point["seconds"] / point["length"] for point in points}
    long, short = lengths[-1], lengths[-2]
    facts = {"points": points, f"cost_of_a_token_{long}_over_{short}": costs[long] / costs[short]}
    return {**facts, "shape": shape} if shape else facts


def main() -> None:
    """Measure and write `benchmarks/results/generation.json`."""
    options = parser(__doc__)
    options.add_argument("--point", help="measure one point, as JSON; for the child processes")
    options.add_argument("--nanogpt", type=Path, help="a checkout of karpathy/nanoGPT")
    given = options.parse_args()
    if given.point:
        print(json.dumps(measure(json.loads(given.point))))
        return
    lengths = (20, 100, 300) if given.quick else LENGTHS
    checkout = str(given.nanogpt.resolve()) if given.nanogpt else None
    sides: dict[str, Any] = {}
    cores = sorted({1, len(os.sched_getaffinity(0))})
    for threads in cores:
        found: dict[str, Any] = {
            "lmcore": side(lengths=lengths, threads=threads, checkout=None, block=None)
        }
        for block in BLOCKS:
            name = f"nanogpt_block_{block}"
            found[name] = (
                side(lengths=lengths, threads=threads, checkout=checkout, block=block)
                if checkout
                else NOT_RUN
            )
        sides[f"cores_{threads}"] = found
    state = own_model().fresh_state(1).nbytes
    results = {
        "what": "sampling one text, tokens per second and memory, fresh process each",
        "model": MODEL.model_dump(mode="json"),
        "state_bytes": state,
        **sides,
    }
    record("generation", results, given)


if __name__ == "__main__":
    main()
