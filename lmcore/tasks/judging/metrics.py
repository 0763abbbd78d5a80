"""How good answers are, with intervals by cluster of documents.

In: outputs and references by document.  Out: `Measured`, a statistic of sums by document: its
value, its interval, and the paired difference to another model's on the same documents.

Accuracy and ROUGE are means; macro F1, BLEU and chrF are functions of sums, so whole clusters are
resampled and the function is computed anew.  BLEU and chrF are those of sacrebleu, whose signature
says how they were computed; ROUGE is that of rouge-score.
Bounds are one-sided 95 % each, as everywhere (`lmcore.evaluation.statistics.intervals`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.statistics.intervals import CONFIDENCE, MAX_GROUPS, Interval, ratio_interval

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Corpus scores are computed one resample at a time.
MAX_RESAMPLES = 2_000
_SLICE_WEIGHTS = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A statistic of sums by document.

    Attributes:
        name: Of the metric.
        sums: What is summed, [N, K].
        score: From sums [R, K] to R values.
        each: The statistic of each document on its own, [N].
        unit: Of the values.
        signature: How exactly it was computed.
    """

    name: str
    sums: FloatArray
    score: Callable[[FloatArray], FloatArray]
    each: FloatArray
    unit: str
    signature: str = ""

    @property
    def value(self) -> float:
        """On all documents."""
        return float(self.score(self.sums.sum(axis=0, keepdims=True))[0])

    def interval(
        self, cluster: Sequence[str] | npt.NDArray[Any], *, seed: int, resamples: int
    ) -> Interval:
        """The value with its bounds."""
        found = self._resampled(None, cluster, seed=seed, resamples=resamples)
        if self.unit != "share":
            return found
        return replace(found, lower=max(0.0, found.lower), upper=min(1.0, found.upper))

    def minus(
        self,
        other: Measured,
        cluster: Sequence[str] | npt.NDArray[Any],
        *,
        seed: int,
        resamples: int,
    ) -> Interval:
        """This minus another model's, paired: both are computed on the same resamples."""
        assert self.sums.shape == other.sums.shape, (self.name, other.name)
        return self._resampled(other, cluster, seed=seed, resamples=resamples)

    def select(self, rows: npt.NDArray[Any]) -> Measured:
        """The same over some of the documents."""
        return Measured(
            name=self.name,
            sums=self.sums[rows],
            score=self.score,
            each=self.each[rows],
            unit=self.unit,
            signature=self.signature,
        )

    def _resampled(
        self,
        other: Measured | None,
        cluster: Sequence[str] | npt.NDArray[Any],
        *,
        seed: int,
        resamples: int,
    ) -> Interval:
        if self.score is mean:  # with the small-sample correction
            difference = self.sums - other.sums if other else self.sums
            return ratio_interval(
                difference[:, 0], self.sums[:, 1], cluster, seed=seed, resamples=resamples
            )
        _, member = np.unique(np.asarray(cluster), return_inverse=True)
        clusters = int(member.max(initial=-1)) + 1
        if clusters < 2:
            raise EmptyEvaluationError(
                f"{clusters} independent documents to measure on; at least 2 are needed, add text"
            )
        rng = np.random.default_rng(seed)
        if clusters > MAX_GROUPS:
            member = rng.permutation(np.arange(clusters) % MAX_GROUPS)[member]
        groups = int(member.max()) + 1
        own = _summed(self.sums, member, groups)
        theirs = _summed(other.sums, member, groups) if other else None
        draws = []
        for weights in _weights(groups, min(resamples, MAX_RESAMPLES), rng):
            values = self.score(weights @ own)
            if other is not None and theirs is not None:
                values = values - other.score(weights @ theirs)
            draws.append(values)
        low, high = np.quantile(np.concatenate(draws), [1 - CONFIDENCE, CONFIDENCE])
        value = self.value - (other.value if other else 0.0)
        if not np.isfinite([value, low, high]).all():
            raise EmptyEvaluationError(f"{self.name} is not finite on {len(self.sums)} documents")
        # A percentile interval can miss the value where the statistic is biased by resampling.
        return Interval(
            value=value, lower=min(float(low), value), upper=max(float(high), value), n=clusters
        )


def mean(sums: FloatArray) -> FloatArray:
    """Sum over count."""
    result: FloatArray = sums[:, 0] / sums[:, 1]
    return result


def accuracy(predicted: Sequence[int], labels: Sequence[int]) -> Measured:
    """Share of documents with the right class."""
    right = (np.asarray(predicted) == np.asarray(labels)).astype(np.float64)
    return mean_of("accuracy", right, unit="share")


def mean_of(name: str, values: npt.ArrayLike, *, unit: str) -> Measured:
    """The mean of values by document."""
    each = np.asarray(values, dtype=np.float64)
    sums = np.stack([each, np.ones_like(each)], axis=1)
    return Measured(name=name, sums=sums, score=mean, each=each, unit=unit)


def macro_f1(predicted: Sequence[int], labels: Sequence[int], *, num_labels: int) -> Measured:
    """Mean over the classes of the harmonic mean of precision and recall.

    A class that neither the labels nor the predictions have is left out, as scikit-learn does.
    """
    rows, guess, truth = np.arange(len(labels)), np.asarray(predicted), np.asarray(labels)
    right, guessed, real = (np.zeros((len(rows), num_labels)) for _ in range(3))
    hit = guess == truth
    right[rows[hit], guess[hit]] = 1
    guessed[rows, guess] = 1
    known = truth >= 0
    real[rows[known], truth[known]] = 1

    def score(sums: FloatArray) -> FloatArray:
        hits, guesses, reals = np.split(sums, 3, axis=1)
        both = guesses + reals
        f1 = np.divide(2 * hits, both, out=np.zeros_like(hits), where=both > 0)
        result: FloatArray = f1.sum(axis=1) / np.maximum((both > 0).sum(axis=1), 1)
        return result

    return Measured(
        name="macro_f1",
        sums=np.concatenate([right, guessed, real], axis=1),
        score=score,
        each=hit.astype(np.float64),
        unit="share",
    )


def bleu(outputs: Sequence[str], references: Sequence[str]) -> Measured:
    """Corpus BLEU of sacrebleu, 0 to 100."""
    from sacrebleu.metrics.bleu import BLEU

    return _corpus("bleu", BLEU(force=True), outputs, references)


def chrf(outputs: Sequence[str], references: Sequence[str]) -> Measured:
    """Corpus chrF of sacrebleu, 0 to 100."""
    from sacrebleu.metrics.chrf import CHRF

    return _corpus("chrf", CHRF(), outputs, references)


def _corpus(name: str, metric: Any, outputs: Sequence[str], references: Sequence[str]) -> Measured:
    """A corpus metric of sacrebleu by its sums of each segment, as its own bootstrap uses them."""
    if not outputs:
        raise EmptyEvaluationError(f"{name}: there is no document to measure on")
    # Once through the public door: it sets what the signature tells.
    metric.corpus_score(list(outputs), [list(references)])
    statistics = metric._extract_corpus_statistics(list(outputs), [list(references)])

    def score(sums: FloatArray) -> FloatArray:
        return np.array(
            [metric._compute_score_from_stats([round(v) for v in row]).score for row in sums],
            dtype=np.float64,
        )

    sums = np.array(statistics, dtype=np.float64)
    return Measured(
        name=name,
        sums=sums,
        score=score,
        each=score(sums) if name == "chrf" else np.zeros(len(sums)),
        unit=name.replace("bleu", "BLEU").replace("chrf", "chrF"),
        signature=str(metric.get_signature()),
    )


def rouge(outputs: Sequence[str], references: Sequence[str]) -> list[Measured]:
    """ROUGE-1, ROUGE-2 and ROUGE-L of rouge-score (F measure, Porter stems), mean by document."""
    from rouge_score.rouge_scorer import RougeScorer

    names = ("rouge1", "rouge2", "rougeL")
    scorer = RougeScorer(list(names), use_stemmer=True)
    found = [scorer.score(r, o) for o, r in zip(outputs, references, strict=True)]
    return [mean_of(name, [one[name].fmeasure for one in found], unit="share") for name in names]


def mcnemar(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Exact two-sided p of two models being right on the same documents equally often.

    Source: McNemar 1947, by the binomial distribution; 1 where they never differ.
    """
    from scipy.stats import binomtest

    one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    wins, losses = int((one & ~two).sum()), int((two & ~one).sum())
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def _summed(values: FloatArray, member: npt.NDArray[np.intp], groups: int) -> FloatArray:
    result = np.zeros((groups, values.shape[1]))
    np.add.at(result, member, values)
    return result


def _weights(groups: int, resamples: int, rng: np.random.Generator) -> list[FloatArray]:
    size = max(1, _SLICE_WEIGHTS // groups)
    chances = np.full(groups, 1 / groups)
    return [
        rng.multinomial(groups, chances, size=min(size, resamples - start)).astype(np.float64)
        for start in range(0, resamples, size)
    ]


def figure(measured: Measured, value: float, *, sign: str = "") -> str:
    """A value of a metric as people read it: accuracy in percent, ROUGE from 0 to 1, BLEU to 100.

    Args:
        measured: The metric.
        value: Of it, or a difference.
        sign: `+` shows the sign of a difference.
    """
    if measured.name == "accuracy":
        return f"{value:{sign}.1%}"
    return f"{value:{sign}.3f}" if measured.unit == "share" else f"{value:{sign}.1f}"


def difference(measured: Measured, gain: Interval) -> str:
    """A paired difference of a metric with its bounds."""
    value, low, high = (
        figure(measured, number, sign="+") for number in (gain.value, gain.lower, gain.upper)
    )
    return f"{value} [{low}, {high}]"
