"""Judge a classifier: everything that is measured of sentiment."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmcore.data.documents import Document
from lmcore.evaluation.statistics.intervals import Sums
from lmcore.tasks.gates.bias_pairs import measure_task_bias
from lmcore.tasks.gates.instrument import probe_classifier
from lmcore.tasks.gates.overfitting import FitFacts
from lmcore.tasks.gates.quality import Compared
from lmcore.tasks.judging import baselines, metrics
from lmcore.tasks.judging.attention import attention_maps
from lmcore.tasks.judging.comparison import Judging
from lmcore.tasks.judging.contrasts import contrasts
from lmcore.tasks.judging.evidence import TaskEvidence, chosen_samples, clusters, lengths_ledger
from lmcore.tasks.judging.pretraining import gain_from_base
from lmcore.tasks.labels import Labels, normal
from lmcore.tasks.learning.calibration import calibration_error
from lmcore.tasks.prediction import FloatArray, Predictor

_TINY = 1e-12
_MAX_MATRIX = 20


def classify(judging: Judging) -> TaskEvidence:
    """Measure a classifier and what it is held against on the judged documents."""
    documents, judged, texts = judging.corpus.documents, judging.judged, judging.texts
    predictor = judging.candidate()
    labels = Labels(names=predictor.record.labels, shares=predictor.record.shares)
    truth = labels.index(d.target for d in judged)
    examples = predictor.encode(texts)
    table = predictor.probabilities(examples)
    guess = [int(c) for c in table.argmax(axis=1)]
    measured = {
        "accuracy": metrics.accuracy(guess, truth),
        "macro_f1": metrics.macro_f1(guess, truth, num_labels=len(labels)),
    }
    train, tune = (list(documents.iter_documents(split)) for split in ("train", "tune"))
    known = [d for d in tune if normal(d.target) in labels.names]
    linear, linear_table = baselines.tfidf_regression(
        [d.text for d in train],
        labels.index(d.target for d in train),
        [d.text for d in known],
        labels.index(d.target for d in known),
        texts,
        num_labels=len(labels),
    )
    common = baselines.majority(labels.shares, len(judged))
    measured["baseline_accuracy"] = metrics.accuracy(linear, truth)
    measured["baseline_macro_f1"] = metrics.macro_f1(linear, truth, num_labels=len(labels))
    measured["baseline_majority_accuracy"] = metrics.accuracy(common, truth)
    counted = predictor.counted(examples)
    if counted is not None:
        measured["baseline_words_accuracy"] = metrics.accuracy(counted, truth)

    def answer(other: Predictor) -> metrics.Measured:
        return metrics.accuracy(_answers(other, texts, labels), truth)

    incumbent = judging.against_champion(answer, ours=measured["accuracy"])
    unaided = judging.against_unaided(answer, ours=measured["accuracy"], champion=incumbent)
    resamples = judging.gates.evaluation.resamples
    if incumbent is not None and incumbent.theirs is not None and not incumbent.seen:
        measured["champion_accuracy"] = incumbent.theirs
    kinds = Counter(normal(d.target) for d in train)
    held = Counter(normal(d.target) for d in judged)
    outputs, each = [labels.names[c] for c in guess], _confidence(table, truth)
    return TaskEvidence(
        documents=judged,
        outputs=outputs,
        each=each,
        measured=measured,
        plain={
            "calibration_error": (calibration_error(table, truth), "share"),
            "baseline_calibration_error": (calibration_error(linear_table, truth), "share"),
            "temperature": (predictor.record.temperature, ""),
            "val_loss_nats": (float(_nats(table, truth).mean()), "nats"),
        },
        instrument=probe_classifier(
            predictor,
            judged,
            probabilities=table,
            seen_by_base=judging.seen_by_base,
            tokenizer_split=judging.tokenizer_split,
        ),
        compared=Compared(
            deciding=measured["accuracy"],
            bar=measured["baseline_majority_accuracy"],
            bar_name="always the most frequent label",
            cluster=clusters(judged),
            linear=measured["baseline_accuracy"],
        ),
        champion=incumbent,
        fit=_fit(judging, predictor, labels, truth, table),
        bias=measure_task_bias(predictor, train, judged),
        tables=[
            *_matrix(labels, guess, truth),
            _by_class(labels, guess, truth, linear),
            _reliability(table, truth),
            *contrasts(judged, labels, truth, guess, seed=0, resamples=resamples),
            *gain_from_base(unaided, base=judging.base, seed=0, resamples=resamples),
        ],
        samples=_samples(judged, labels, table, truth),
        attention=attention_maps(predictor, texts, outputs, each),
        ledger={
            "classes": {
                name: f"train {kinds[name]:,}, judged {held[name]:,}"
                for name in sorted({*kinds, *held})[:200]
            },
            "training examples": judging.trained_on(),
            "lengths": lengths_ledger(
                {"judged texts": [len(e.source) for e in examples]}, unit="tokens read"
            ),
            "truncation": {
                "tokens read at most": predictor.record.max_source_tokens,
                "judged texts cut": sum(e.truncated for e in examples),
            },
        },
    )


def _nats(table: FloatArray, truth: Sequence[int]) -> FloatArray:
    """Nats of the right class; of an unknown one as if it had next to no probability."""
    found: FloatArray = np.array(
        [
            -np.log(max(_TINY, row[label] if label >= 0 else 0.0))
            for row, label in zip(table, truth, strict=True)
        ]
    )
    return found


def _confidence(table: FloatArray, truth: Sequence[int]) -> FloatArray:
    """Probability of the right class."""
    found: FloatArray = np.exp(-_nats(table, truth))
    return found


def _answers(champion: Predictor, texts: Sequence[str], labels: Labels) -> list[int]:
    """Classes by the candidate's numbers; one that only the champion knows is a wrong answer."""
    place = {name: index for index, name in enumerate(labels.names)}
    names = champion.record.labels
    table = champion.probabilities(champion.encode(texts))
    return [place.get(names[int(c)], len(labels)) for c in table.argmax(axis=1)]


def _fit(
    judging: Judging,
    predictor: Predictor,
    labels: Labels,
    truth: Sequence[int],
    table: FloatArray,
) -> FitFacts:
    def right(found: FloatArray, wanted: Sequence[int], docs: Sequence[Document]) -> Sums:
        hits = (found.argmax(axis=1) == np.asarray(wanted)).astype(np.float64)
        return Sums(numerator=hits, denominator=np.ones_like(hits), cluster=clusters(docs))

    learnt = judging.learnt()
    seen = predictor.probabilities(predictor.encode([d.text for d in learnt]))
    return FitFacts(
        train=right(seen, labels.index(d.target for d in learnt), learnt),
        validation=right(table, truth, judging.judged),
        relative=False,
        final_minus_best=judging.rise_at_the_end(
            lambda last: _nats(last.probabilities(last.encode(judging.texts)), truth),
            best=_nats(table, truth),
            unit=np.ones(len(truth)),
        ),
        stopped_early=bool(judging.checkpoint.summary.get("stopped_early")),
    )


def _matrix(labels: Labels, guess: Sequence[int], truth: Sequence[int]) -> list[dict[str, Any]]:
    if len(labels) > _MAX_MATRIX:
        return []
    counts = np.zeros((len(labels) + 1, len(labels)), dtype=np.int64)
    for wanted, found in zip(truth, guess, strict=True):
        counts[wanted, found] += 1  # an unknown class is the last row
    names = [*labels.names, "(not in train)"]
    return [
        {
            "caption": "Confusion: labels down, answers across",
            "header": ["Label", *labels.names, "Right"],
            "rows": [
                [
                    names[i],
                    *(f"{value:,}" for value in row),
                    f"{row[i] / row.sum():.1%}" if i < len(labels) else "0.0%",
                ]
                for i, row in enumerate(counts)
                if row.sum()
            ],
            "note": "",
        }
    ]


def _by_class(
    labels: Labels, guess: Sequence[int], truth: Sequence[int], linear: Sequence[int]
) -> dict[str, Any]:
    from sklearn.metrics import precision_recall_fscore_support

    options: dict[str, Any] = {"labels": list(range(len(labels))), "zero_division": 0.0}
    precision, recall, f1, support = precision_recall_fscore_support(truth, guess, **options)
    _, _, beside, _ = precision_recall_fscore_support(truth, linear, **options)
    return {
        "caption": "By label",
        "header": ["Label", "Documents", "Precision", "Recall", "F1", "F1 of the baseline"],
        "rows": [
            [name, f"{support[i]:,}", *(f"{v[i]:.3f}" for v in (precision, recall, f1, beside))]
            for i, name in enumerate(labels.names)
        ],
        "note": "The baseline is TF-IDF with logistic regression, trained on the same documents.",
    }


def _reliability(table: FloatArray, truth: Sequence[int]) -> dict[str, Any]:
    confidence, right = table.max(axis=1), table.argmax(axis=1) == np.asarray(truth)
    edges = [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0 + _TINY]
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = (confidence >= low) & (confidence < high)
        if inside.any():
            rows.append(
                [
                    f"{low:.0%} to {min(high, 1):.0%}",
                    f"{inside.sum():,}",
                    f"{confidence[inside].mean():.1%}",
                    f"{right[inside].mean():.1%}",
                ]
            )
    return {
        "caption": "How much its confidence means",
        "header": ["Confidence", "Documents", "On average", "Right"],
        "rows": rows,
        "note": "Where the last two columns agree, a probability can be taken at its word.",
    }


def _samples(
    judged: Sequence[Document], labels: Labels, table: FloatArray, truth: Sequence[int]
) -> list[dict[str, Any]]:
    each = _confidence(table, truth)
    names = {"best": "surest and right", "median": "middling", "worst": "surest and wrong"}
    found = []
    for kind, place in chosen_samples(each):
        answer = int(table[place].argmax())
        wanted = normal(judged[place].target)
        found.append(
            {
                "kind": names[kind],
                "prompt": f"{judged[place].text}\n",
                "text": f"→ {labels.names[answer]} ({table[place, answer]:.0%}); label: {wanted}",
            }
        )
    return found
