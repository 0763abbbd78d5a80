"""How good a task's answers are: metrics of the documents that were answered.

In: documents, answers and references.  Out: `Measured` values, which the gates compare.  Accuracy
and ROUGE are means; macro F1, BLEU and chrF are functions of sums.  BLEU and chrF are those of
sacrebleu, ROUGE is that of rouge-score; a signature says how each was computed, first of all in
which tokens (`lmcore.tasks.measures.tokens`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lmcore.data.documents import Document
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import BleuTokenizer
from lmcore.evaluation.statistics.intervals import FloatArray, Interval, Sample
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.metric import Metric
from lmcore.tasks.measures.tokens import ROUGE_SIGNATURE, RougeWords, bleu_tokenizer
from lmcore.tasks.task import TASKS, TaskName

ACCURACY, BLEU, ROUGE_L = (
    TASKS[name].deciding for name in ("sentiment", "translation", "summarization")
)
MACRO_F1 = Metric(name="macro_f1", title="macro F1", unit="share")
CHRF = Metric(name="chrf", title="chrF", unit="chrF", places=".1f")
ROUGE = {
    "rouge1": Metric(name="rouge1", title="ROUGE-1", unit="share"),
    "rouge2": Metric(name="rouge2", title="ROUGE-2", unit="share"),
    "rougeL": ROUGE_L,
}
#: Nats of the right label.
LOSS = Metric(name="val_loss_nats", title="the loss of a text", unit="nats", higher_is_better=False)
TARGET_LOSS = Metric(
    name="val_loss_nats_per_target_token",
    title="the loss of a token of a target",
    unit="nats/token",
    higher_is_better=False,
)


def measured(metric: Metric, documents: Sequence[Document], sample: Sample) -> Measured:
    """A metric of documents, with the clusters of near-copies as units of every interval."""
    return Measured(
        metric=metric,
        id=np.array([document.id for document in documents], dtype=object),
        sample=replace(sample, cluster=clusters(documents)),
    )


def clusters(documents: Sequence[Document]) -> npt.NDArray[np.object_]:
    """Clusters of near-copies: the unit of every interval."""
    return np.array([document.cluster for document in documents], dtype=object)


def mean_of(metric: Metric, documents: Sequence[Document], values: npt.ArrayLike) -> Measured:
    """The mean of values by document."""
    return measured(metric, documents, Sample.ratio(values, np.ones(len(documents))))


def accuracy(
    documents: Sequence[Document], predicted: Sequence[int], labels: Sequence[int]
) -> Measured:
    """Share of documents with the right class."""
    return mean_of(ACCURACY, documents, np.asarray(predicted) == np.asarray(labels))


def macro_f1(
    documents: Sequence[Document],
    predicted: Sequence[int],
    labels: Sequence[int],
    *,
    num_labels: int,
) -> Measured:
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

    sums = np.concatenate([right, guessed, real], axis=1)
    return measured(MACRO_F1, documents, Sample(sums=sums, score=score))


def of_written(
    task: TaskName,
    documents: Sequence[Document],
    outputs: Sequence[str],
    *,
    tokenizer: BleuTokenizer = "auto",
) -> list[Measured]:
    """All metrics of texts that were written for a task; the references are the targets.

    Args:
        task: Which one.
        documents: What was answered.
        outputs: The answers.
        tokenizer: Of BLEU; auto: by the language of the references.
    """
    references = [(document.target or "").strip() for document in documents]
    if TASKS[task].deciding == BLEU:
        return [
            bleu(documents, outputs, references, tokenizer=tokenizer),
            chrf(documents, outputs, references),
        ]
    return rouge(documents, outputs, references)


def bleu(
    documents: Sequence[Document],
    outputs: Sequence[str],
    references: Sequence[str],
    *,
    tokenizer: BleuTokenizer = "auto",
) -> Measured:
    """Corpus BLEU of sacrebleu, 0 to 100."""
    from sacrebleu.metrics import bleu as library

    name = bleu_tokenizer(references) if tokenizer == "auto" else tokenizer
    scorer = library.BLEU(force=True, tokenize=name)
    return _corpus(BLEU, scorer, documents, outputs, references)


def chrf(
    documents: Sequence[Document], outputs: Sequence[str], references: Sequence[str]
) -> Measured:
    """Corpus chrF of sacrebleu, 0 to 100."""
    from sacrebleu.metrics import chrf as library

    return _corpus(CHRF, library.CHRF(), documents, outputs, references)


def _corpus(
    metric: Metric,
    scorer: Any,
    documents: Sequence[Document],
    outputs: Sequence[str],
    references: Sequence[str],
) -> Measured:
    """A metric of sacrebleu by its counts of each segment, as its own bootstrap uses them."""
    if not outputs:
        raise EmptyEvaluationError(f"{metric.name}: there is no document to measure on")
    # Once through the public door: it sets what the signature tells.
    scorer.corpus_score(list(outputs), [list(references)])
    counts = scorer._extract_corpus_statistics(list(outputs), [list(references)])
    sums = np.array(counts, dtype=np.float64)

    def score(rows: FloatArray) -> FloatArray:
        values = (scorer._compute_score_from_stats([round(v) for v in row]).score for row in rows)
        return np.fromiter(values, dtype=np.float64, count=len(rows))

    # Of both metrics the second count is the length of the reference.
    sample = Sample(sums=sums, score=score, weight=sums[:, 1], slow=True)
    return replace(measured(metric, documents, sample), signature=str(scorer.get_signature()))


def rouge(
    documents: Sequence[Document], outputs: Sequence[str], references: Sequence[str]
) -> list[Measured]:
    """ROUGE-1, ROUGE-2 and ROUGE-L of rouge-score (F measure), mean by document."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(ROUGE), tokenizer=RougeWords())
    found = [scorer.score(r, o) for o, r in zip(outputs, references, strict=True)]
    return [
        replace(
            mean_of(metric, documents, [one[name].fmeasure for one in found]),
            signature=ROUGE_SIGNATURE,
        )
        for name, metric in ROUGE.items()
    ]


def difference(metric: Metric, gain: Interval) -> str:
    """A paired difference of a metric with its bounds."""
    value, low, high = (
        metric.shown(number, sign="+") for number in (gain.value, gain.lower, gain.upper)
    )
    return f"{value} [{low}, {high}]"
