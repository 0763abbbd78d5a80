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
from os import cpu_count
from pathlib import Path
from typing import Any

from benchmarks.recording import in_child, parser, record, workspace
from lmcore.controls.bench import ControlBench
from lmcore.controls.language_models.memorisation import exposure_of_canaries
from lmcore.evaluation.gates.exposure import exposure

REPEATS = (1, 2, 5, 10, 30)
SEEDS = 6


def measure(point: dict[str, Any]) -> dict[str, Any]:
    """Train one model and look at its canaries."""
    with workspace("exposure") as name:
        bench = ControlBench(seed=point["seed"], folder=Path(name))
        found = exposure_of_canaries(bench, repeats=point["repeats"])
    result = exposure(found, limits=bench.gates.exposure, required=True)
    evidence = result.evidence
    return {
        **point,
        "consumed": evidence["consumed"],
        "share": evidence["in_top_share"] / evidence["consumed"],
        "right_guesses": evidence["right_guesses"],
        "epsilon_lower_bound": evidence["epsilon_lower_bound"],
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
