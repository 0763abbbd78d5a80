"""How long the index for exact train matches takes, and how much memory.

    python -m benchmarks.indexing           under a minute
    python -m benchmarks.indexing --quick   a tenth of the tokens

Tokens are seeded and drawn as often as words are (the n-th most frequent one 1/n as often as the
first), with 2,000 passages of 400 tokens that stand in the text twice: what is repeated is what
takes time. Each size is a fresh process on one core.
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from benchmarks.process_memory import peak_megabytes
from benchmarks.recording import in_child, parser, record
from lmcore.evaluation.memory.suffix_array import SuffixArray

VOCABULARY = 1024
SIZES = (1_000_000, 10_000_000)
PASSAGES, PASSAGE_TOKENS = 2000, 400
REPEATS = 3


def text(tokens: int) -> Any:
    """Tokens with repeated passages, shape [tokens], uint16."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, VOCABULARY + 1)
    drawn = rng.choice(VOCABULARY, size=tokens, p=shares / shares.sum()).astype(np.uint16)
    for source, target in rng.integers(0, tokens - PASSAGE_TOKENS, (PASSAGES, 2)):
        drawn[target : target + PASSAGE_TOKENS] = drawn[source : source + PASSAGE_TOKENS]
    return drawn


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Index one text; seconds and memory."""
    tokens = text(point["tokens"])
    before = peak_megabytes()
    started = time.perf_counter()
    array = SuffixArray(tokens, num_symbols=VOCABULARY + 1)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "peak_megabytes": peak_megabytes(),
        "megabytes_before": before,
        "suffixes": len(array.suffixes),
    }


def main() -> None:
    """Measure and write `benchmarks/results/indexing.json`."""
    options = parser(__doc__)
    options.add_argument("--point", help="measure one point, as JSON; for the child processes")
    given = options.parse_args()
    if given.point:
        print(json.dumps(measure(json.loads(given.point))))
        return
    points = []
    for size in SIZES[:1] if given.quick else SIZES:
        runs = [
            in_child("benchmarks.indexing", {"tokens": size}, threads=1)
            for _ in range(1 if given.quick else REPEATS)
        ]
        points.append(
            {
                "tokens": size,
                "seconds": sorted(run["seconds"] for run in runs),
                "peak_megabytes": max(run["peak_megabytes"] for run in runs),
                "megabytes_before": max(run["megabytes_before"] for run in runs),
            }
        )
    record(
        "indexing",
        {"what": "index for exact train matches, one core", "points": points},
        given,
    )


if __name__ == "__main__":
    main()
