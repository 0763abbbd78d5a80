"""The project's metrics as Hugging Face `evaluate` classes, used without a network.

In come per-document sums (predictions: nats of a document, references: its bytes), out
come a value and its two one-sided 95 % bounds.  They are ordinary `evaluate.Metric`s: they
work alone, batch by batch, and inside `evaluate.combine`.

Kept in memory: the library would otherwise write each batch to a cache file in the user's
home.  Classes are used directly, never through `evaluate.load`, which asks the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets
import numpy as np

from lmcore.evaluation.scores.evaluate_library import Metric, MetricInfo
from lmcore.evaluation.scores.table import NATS_PER_BIT, ScoreTable
from lmcore.evaluation.statistics.intervals import Interval, ratio_interval
from lmcore.evaluation.statistics.resampling import RESAMPLES, Resampling

_CITATION = "Gao et al., The Pile, arXiv:2101.00027 (bits per byte); Efron and Tibshirani 1993"


class _InMemoryMetric(Metric):  # type: ignore[misc]
    """A metric that writes nothing to the disk."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "keep_in_memory": True})

    def _build_data_dir(self) -> str:
        return ""  # the library's own method creates a folder


class BitsPerByte(_InMemoryMetric):
    """Bits per byte of text, lower is better, with its interval by cluster of documents."""

    def _info(self) -> MetricInfo:
        return MetricInfo(
            description="Negative log-likelihood in bits, divided by UTF-8 bytes.",
            citation=_CITATION,
            inputs_description="predictions: nats by document; references: bytes by document.",
            features=datasets.Features(
                {
                    "predictions": datasets.Value("float64"),
                    "references": datasets.Value("int64"),
                }
            ),
        )

    def _compute(
        self,
        predictions: Sequence[float],
        references: Sequence[int],
        cluster: Sequence[str] | None = None,
        seed: int = 0,
        resamples: int = RESAMPLES,
        baseline: object = None,  # meant for a neighbour: `combine` hands all of it to everybody
    ) -> dict[str, float | int]:
        bits = np.asarray(predictions, dtype=np.float64) / NATS_PER_BIT
        resampling = Resampling(seed=seed, resamples=resamples)
        interval = ratio_interval(bits, references, cluster, resampling=resampling)
        return _named("bits_per_byte", interval)


class PairedBitsPerByte(_InMemoryMetric):
    """Bits per byte of one model minus another's on the same documents; below 0 is better."""

    def _info(self) -> MetricInfo:
        return MetricInfo(
            description="Difference in bits per byte of two models, paired by document.",
            citation=_CITATION,
            inputs_description=(
                "predictions: nats by document; baseline: nats of the other model on the same"
                " documents; references: bytes by document."
            ),
            features=datasets.Features(
                {
                    "predictions": datasets.Value("float64"),
                    "baseline": datasets.Value("float64"),
                    "references": datasets.Value("int64"),
                }
            ),
        )

    def _compute(
        self,
        predictions: Sequence[float],
        baseline: Sequence[float],
        references: Sequence[int],
        cluster: Sequence[str] | None = None,
        seed: int = 0,
        resamples: int = RESAMPLES,
    ) -> dict[str, float | int]:
        nats = np.asarray(predictions, dtype=np.float64) - np.asarray(baseline, dtype=np.float64)
        resampling = Resampling(seed=seed, resamples=resamples)
        interval = ratio_interval(nats / NATS_PER_BIT, references, cluster, resampling=resampling)
        return _named("bits_per_byte_difference", interval)


def bits_per_byte(table: ScoreTable, *, resampling: Resampling) -> Interval:
    """Bits per byte of a table, computed by the metric above.

    Raises:
        EmptyEvaluationError: With fewer than two clusters, or a score that is not finite.
    """
    answer = BitsPerByte().compute(
        predictions=table.nll_nats,
        references=table.num_bytes,
        cluster=table.cluster,
        seed=resampling.seed,
        resamples=resampling.resamples,
    )
    return Interval(
        value=float(answer["bits_per_byte"]),
        lower=float(answer["bits_per_byte_lower"]),
        upper=float(answer["bits_per_byte_upper"]),
        n=int(answer["bits_per_byte_n"]),
    )


def _named(name: str, interval: Interval) -> dict[str, float | int]:
    return {
        name: interval.value,
        f"{name}_lower": interval.lower,
        f"{name}_upper": interval.upper,
        f"{name}_n": interval.n,
    }
