"""What a text leaves behind by how often it was read: the data behind the limits of `exposure`.

    python -m benchmarks.exposure           about six minutes on two cores
    python -m benchmarks.exposure --quick   two models

Each canary is put 1, 2, 5, 10 or 30 times into the training text of the controls' small healthy
model (about 30,000 parameters, 1.5 epochs), for several seeds; nothing else differs. A model is
trained in a process of its own.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from os import cpu_count
from pathlib import Path
from typing import Any

from benchmarks.recording import in_child, parser, record, workspace
from lmcore.data.canaries import plan_canaries
from lmcore.data.shards import write_shards
from lmcore.evaluation.controls.bench import ControlBench
from lmcore.evaluation.exposure import epsilon_lower_bound, measure_exposure
from lmcore.evaluation.gates.exposure import exposure

REPEATS = (1, 2, 5, 10, 30)
SEEDS = 6


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Train one model and look at its canaries."""
    with workspace("exposure") as name:
        bench = ControlBench(seed=point["seed"], folder=Path(name))
        sound = bench.sound
        canaries = plan_canaries(sound.documents, seed=bench.seed, repeats=point["repeats"])
        shards = write_shards(bench.store, sound.documents, sound.tokenizer, canaries=canaries)
        checkpoint = replace(sound, shards=shards).train()
        found = measure_exposure(
            checkpoint.load("best").eval(),
            sound.loaded,
            canaries,
            stream=shards.stream("train"),
            ranges=checkpoint.consumed().ranges,
        )
    result = exposure(found, limits=bench.gates.exposure, required=True)
    consumed = len(found.inside)
    return {
        **point,
        "consumed": consumed,
        "share": result.evidence["in_top_share"] / consumed,
        "right_guesses": found.right_guesses,
        "epsilon_lower_bound": epsilon_lower_bound(found.right_guesses, consumed),
        "outcome": result.outcome,
    }


def main() -> None:
    """Measure and write `benchmarks/results/exposure.json`."""
    options = parser(__doc__)
    options.add_argument("--point", help="measure one point, as JSON; for the child processes")
    given = options.parse_args()
    if given.point:
        print(json.dumps(measure(json.loads(given.point))))
        return
    repeats, seeds = ((1, 30), 1) if given.quick else (REPEATS, SEEDS)
    points = [{"repeats": times, "seed": seed} for times in repeats for seed in range(seeds)]
    with ThreadPoolExecutor(cpu_count()) as pool:
        runs = list(pool.map(lambda p: in_child("benchmarks.exposure", p), points))
    record("exposure", {"runs": runs}, given)


if __name__ == "__main__":
    main()
