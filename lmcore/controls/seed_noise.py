"""How far trainings that differ by the seed alone lie apart: the noise that a promotion must beat.

In come prepared data and a configuration, out comes the standard deviation of bits per byte over
seeds.  It is the value of `champion.seed_sigma_bits_per_byte`: the champion gate's interval is
over documents and knows nothing of the seed, so its margin has to.  Trainings are short and the
same documents are scored each time; each seed is kept, so that more seeds add to those there.

With margin m two equal models differ by more than it in P(d < -m), where d has standard deviation
sqrt(2) sigma; at m = 1.645 sqrt(2) sigma that is 5 %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import chdtri

from lmcore.content_store import Handle
from lmcore.data.documents import Document
from lmcore.data.tokens.corpus import Corpus
from lmcore.digests import code_digest
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.gates.champion import Incumbent, Margin, champion
from lmcore.evaluation.scores.scoring import BITS_PER_BYTE, measured_bits, score_documents
from lmcore.evaluation.scores.table import ScoreTable
from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.resampling import CONFIDENCE, Resampling
from lmcore.evaluation.statistics.sampling import sampled_ids
from lmcore.model.config import AnyModelConfig
from lmcore.model.pretrained.base import Base
from lmcore.training.attempt import Attempt
from lmcore.training.config import TrainingConfig
from lmcore.training.train import train

STEPS = 300
# Scored a seed; differences between seeds are paired, so little text is enough.
_SCORED_BYTES = 400_000
_SCORES_FILE = "scores.parquet"
# Judging all pairs of 20 models with 10,000 resamples each would take longer than training one.
_RESAMPLES = 1_000


class SeedRun(Handle):
    """One short training. Summary: seed, steps, params, bits_per_byte."""

    kind = "seed-run"

    @property
    def table(self) -> ScoreTable:
        """What the model says of the scored documents."""
        return ScoreTable.from_parquet(self.path / _SCORES_FILE)


@dataclass(frozen=True, kw_only=True)
class SeedNoise:
    """What several seeds say together.

    Attributes:
        sigma: Standard deviation of bits per byte between trainings; bounds for normal spread.
        bits_per_byte: Of each seed.
        steps: Of each training.
        params: Of each model.
        documents: That were scored.
        pairs: Ordered pairs of different seeds.
        promoted: Pairs of which the champion gate, with this sigma, would promote one.
    """

    sigma: Interval
    bits_per_byte: Sequence[float]
    steps: int
    params: int
    documents: int
    pairs: int
    promoted: int

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        return {
            **self.__dict__,
            "sigma": {**self.sigma.to_json(), "unit": "bits/byte"},
            "bits_per_byte": list(self.bits_per_byte),
        }


def measure_seed_noise(
    attempt: Attempt,
    corpus: Corpus,
    *,
    model: AnyModelConfig,
    training: TrainingConfig,
    gates: GatesConfig,
    seeds: int,
    on_run: Callable[[int, SeedRun], None] | None = None,
    base: Base | None = None,
) -> SeedNoise:
    """Train the same thing with seeds 0 to `seeds` - 1.

    Args:
        attempt: Where it is done and who attends it.
        corpus: Its validation split is scored, up to 400 kB of it.
        model: Shape.
        training: Settings; see `bounded`.
        gates: Limits of the champion gate; its sigma is replaced by the measured one.
        seeds: At least 2.
        on_run: Told each seed that is done.
        base: The model that a pretrained one begins with.

    Raises:
        TrainingInterrupted: If asked to stop; the same call goes on.
    """
    documents = corpus.documents
    rows = documents.iter_rows("validation")
    scored = sampled_ids(rows, max_bytes=_SCORED_BYTES, purpose="seed-noise")
    targets = [d for d in documents.iter_documents("validation") if d.id in scored]
    runs = []
    for seed in range(seeds):
        run = _seed_run(
            attempt,
            corpus,
            targets=targets,
            model=model,
            training=training.model_copy(update={"seed": seed}),
            base=base,
        )
        runs.append(run)
        if on_run is not None:
            on_run(seed, run)
    tables = [run.table for run in runs]
    sigma = spread([table.total_bits_per_byte() for table in tables])
    return SeedNoise(
        sigma=sigma,
        bits_per_byte=[table.total_bits_per_byte() for table in tables],
        steps=int(runs[0].summary["steps"]),
        params=int(runs[0].summary["params"]),
        documents=len(targets),
        pairs=len(tables) * (len(tables) - 1),
        promoted=_promoted(tables, gates, sigma=sigma.value),
    )


def bounded(training: TrainingConfig, *, steps: int = STEPS) -> TrainingConfig:
    """The settings of a short training from the start."""
    bounds = {"budget_seconds": None, "max_epochs": None, "max_steps": steps, "start": "scratch"}
    return TrainingConfig.model_validate({**training.model_dump(), **bounds})


def spread(values: Sequence[float]) -> Interval:
    """Standard deviation with bounds of 95 % each, for values that are spread normally.

    Raises:
        EmptyEvaluationError: With fewer than two values, or one that is not finite.
    Source: the chi-squared interval of a variance.
    """
    found = np.asarray(values, dtype=np.float64)
    if len(found) < 2 or not np.isfinite(found).all():
        raise EmptyEvaluationError(
            f"{len(found)} trainings to measure a spread on; at least 2 with finite scores"
        )
    deviation, freedom = float(found.std(ddof=1)), len(found) - 1
    lower, upper = (
        deviation * (freedom / float(chdtri(freedom, tail))) ** 0.5
        for tail in (1 - CONFIDENCE, CONFIDENCE)
    )
    return Interval(value=deviation, lower=lower, upper=upper, n=len(found))


def _seed_run(
    attempt: Attempt,
    corpus: Corpus,
    *,
    targets: Sequence[Document],
    model: AnyModelConfig,
    training: TrainingConfig,
    base: Base | None,
) -> SeedRun:
    checkpoint = train(attempt, corpus, model=model, training=training, base=base)
    inputs = {
        "checkpoint": checkpoint.key,
        "documents": [document.id for document in targets],
        "code": code_digest("lmcore.evaluation.scores.scoring", "lmcore.evaluation.scores.table"),
    }

    def make(folder: Path) -> dict[str, Any]:
        table = score_documents(checkpoint.load("best"), corpus.loaded, targets)
        table.to_parquet(folder / _SCORES_FILE)
        return {
            "seed": training.seed,
            "steps": checkpoint.plan().steps,
            "params": checkpoint.summary["params"],
            "bits_per_byte": table.total_bits_per_byte(),
        }

    return attempt.store.build(SeedRun, inputs, make)


def _promoted(tables: Sequence[ScoreTable], gates: GatesConfig, *, sigma: float) -> int:
    limits = gates.champion.model_copy(update={"seed_sigma_bits_per_byte": sigma})
    margin = Margin.of(gates.model_copy(update={"champion": limits}), BITS_PER_BYTE)
    return sum(
        champion(
            measured_bits(challenger),
            # All documents are known, so that all of them decide.
            Incumbent(
                version=1, measured=measured_bits(incumbent), known_ids=frozenset(incumbent.id)
            ),
            anchor=challenger.anchor,
            margin=margin,
            required=True,
            resampling=Resampling(resamples=_RESAMPLES),
        ).outcome
        == "PASS"
        for i, challenger in enumerate(tables)
        for j, incumbent in enumerate(tables)
        if i != j
    )
