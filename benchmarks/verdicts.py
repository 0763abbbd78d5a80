"""Does the gate `exposure` say the same of the default pipeline, whatever its seed and its steps?

    python -m benchmarks.verdicts             trainings (about 25 minutes of one core) and judging
    python -m benchmarks.verdicts --judge     judge the recorded trainings again, in seconds
    python -m benchmarks.verdicts --quick     two trainings of 20 steps

A default run takes as many steps as fit into its time, so how many canaries were read, and how
often, depends on the machine.  Real are the trainings: the default corpus and model, some numbers
of steps and seeds, each on one core.  Of each canary that was read the record has the rank among
the references and whether its partner cost more.  With `repeats` each stood so often in the text:
8 times in a quarter of an epoch is twice, as in 4,000 steps, at an eighth of their cost.

Resampled are the repeats: each draws as many canaries as a training read, with replacement, from
what that training left of them, and asks the gate.  `with_64` draws a quarter of them, as if 64 had
been planted.  So repeats differ in the canaries, and trainings in the seed and the steps.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recording import RESULTS, in_child, parser, record, workspace
from lmcore.evaluation.config import ExposureLimits, GatesConfig
from lmcore.evaluation.gates.exposure import exposure
from lmcore.evaluation.memory.exposure import Exposure

TRAININGS: tuple[Mapping[str, int], ...] = (
    {"steps": 500, "seed": 0},
    {"steps": 500, "seed": 0, "repeats": 8},
    {"steps": 1_000, "seed": 0},
    {"steps": 2_000, "seed": 0},
)
_QUICK = ({"steps": 20, "seed": 0}, {"steps": 20, "seed": 1})
REPEATS = 1_000
_BEFORE = 64


def measure(point: Mapping[str, Any]) -> dict[str, Any]:
    """Train one model and say what it left of each canary."""
    from flows.home.environment import prepare
    from flows.steps.ingest_documents import fingerprint, ingest_documents
    from flows.steps.tokenize_documents import tokenize_documents
    from lmcore.config_file import load_config
    from lmcore.content_store import ContentStore
    from lmcore.data.tokens.canaries import plan_canaries
    from lmcore.data.tokens.corpus import make_corpus
    from lmcore.evaluation.memory.exposure import measure_exposure
    from lmcore.training.attempt import Attempt
    from lmcore.training.train import train

    home = prepare()
    store = ContentStore(home.content)
    config = load_config(
        overrides=[f"training.max_steps={point['steps']}", f"training.seed={point['seed']}"]
    )
    documents = ingest_documents(config, fingerprint(config), home)
    corpus = tokenize_documents(config, documents, home)
    canaries = plan_canaries(
        documents, seed=config.training.seed, repeats=int(point.get("repeats", 1))
    )
    corpus = make_corpus(store, documents, corpus.tokenizer, canaries=canaries)
    checkpoint = train(
        Attempt(store=store, work_dir=home.work),
        corpus,
        model=config.model,
        training=config.training,
    )
    found = measure_exposure(
        checkpoint.load("best").eval(),
        corpus.loaded,
        canaries,
        stream=corpus.shards.stream("train"),
        ranges=checkpoint.consumed().ranges,
    )
    return {
        **point,
        "epochs": checkpoint.summary["epochs_seen"],
        "tune_bits_per_byte": checkpoint.summary["tune_bits_per_byte"],
        "planted": found.planted,
        "references": len(found.references),
        "ranks": found.ranks.tolist(),
        "lower_than_partner": (found.inside < found.outside).astype(int).tolist(),
    }


def _as_found(training: Mapping[str, Any], places: Sequence[int] | np.ndarray) -> Exposure:
    """What the gate would be given of these canaries of a training."""
    ranks = np.asarray(training["ranks"], dtype=np.float64)[places]
    lower = np.asarray(training["lower_than_partner"], dtype=bool)[places]
    # Any losses of these ranks will do: the references cost 1, 2, 3 and so on.
    inside = ranks - 0.5
    return Exposure(
        planted=int(training["planted"]),
        inside=inside,
        outside=np.where(lower, inside + 1, inside - 1),
        references=np.arange(1, int(training["references"]) + 1, dtype=np.float64),
    )


def judged(training: Mapping[str, Any], *, limits: ExposureLimits) -> dict[str, Any]:
    """What the gate says of a training, and how often it says what of resampled ones."""
    every = np.arange(len(training["ranks"]))
    rng = np.random.default_rng(0)

    def resampled(count: int) -> dict[str, int]:
        said = Counter(
            exposure(
                _as_found(training, rng.choice(every, count)), limits=limits, required=True
            ).outcome
            for _ in range(REPEATS)
        )
        return dict(said.most_common())

    real = exposure(_as_found(training, every), limits=limits, required=True)
    quarter = round(len(every) * _BEFORE / int(training["planted"]))
    return {
        **{name: training[name] for name in training if name in ("steps", "seed", "repeats")},
        "epochs": training["epochs"],
        "consumed": len(every),
        "in_top_share": real.evidence.get("in_top_share"),
        "right_guesses": real.evidence.get("right_guesses"),
        "epsilon_lower_bound": real.evidence.get("epsilon_lower_bound"),
        "outcome": real.outcome,
        "resampled": resampled(len(every)),
        "with_64": {"consumed": quarter, **resampled(quarter)},
    }


def main() -> None:
    """Train or read what was recorded, judge, and write `benchmarks/results/verdicts.json`."""
    options = parser(__doc__)
    options.add_argument("--point", help="train one point, as JSON; for the child processes")
    options.add_argument("--judge", action="store_true", help="train nothing")
    given = options.parse_args()
    if given.point:
        print(json.dumps(measure(json.loads(given.point))))
        return
    if given.judge:
        trainings = json.loads((RESULTS / "verdicts.json").read_text())["trainings"]
    else:
        with workspace("verdicts") as name:
            trainings = [
                in_child("benchmarks.verdicts", point, threads=1, home=Path(name))
                for point in (_QUICK if given.quick else TRAININGS)
            ]
    limits = GatesConfig.default().exposure
    rows = [judged(training, limits=limits) for training in trainings]
    record("verdicts", {"repeats": REPEATS, "judged": rows, "trainings": trainings}, given)


if __name__ == "__main__":
    main()
