"""Judge a classifier: everything that is measured of sentiment."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmcore.data.documents import Document
from lmcore.evaluation.statistics.intervals import FloatArray
from lmcore.tasks.gates.bias_pairs import measure_task_bias
from lmcore.tasks.gates.champion import accuracy_of
from lmcore.tasks.gates.competence import bars_of_classifier
from lmcore.tasks.gates.instrument import probe_classifier
from lmcore.tasks.gates.overfitting import fit_of_classifier, label_nats
from lmcore.tasks.judging.attention import attention_maps
from lmcore.tasks.judging.comparison import Judging
from lmcore.tasks.judging.contrasts import contrasts
from lmcore.tasks.judging.evidence import Shown, TaskEvidence, chosen_samples
from lmcore.tasks.judging.pretraining import gain_from_base
from lmcore.tasks.labels import Labels, normal
from lmcore.tasks.learning.calibration import calibration_error
from lmcore.tasks.learning.examples import Example, notes_on_lengths
from lmcore.tasks.measures import metrics
from lmcore.tasks.measures.baselines import label_baselines
from lmcore.tasks.prediction import Predictor

_TINY = 1e-12
_MAX_MATRIX = 20


def classify(judging: Judging) -> TaskEvidence:
    """Measure a classifier and what it is held against on the judged documents."""
    judged, gates = judging.judged, judging.gates
    predictor, learnt = judging.candidate(), judging.learnt()
    labels = Labels(names=predictor.record.labels, shares=predictor.record.shares)
    truth = labels.index(d.target for d in judged)
    examples = predictor.encode(judging.texts)
    table = predictor.probabilities(examples, on_answered=judging.begins("answers"))
    judging.begins("baselines")
    guess = [int(c) for c in table.argmax(axis=1)]
    train = list(judging.corpus.documents.iter_documents("train"))
    tune = list(judging.corpus.documents.iter_documents("tune"))
    simple = label_baselines(train, tune, judged, labels)
    bars = bars_of_classifier(simple, judged, truth, max_deficit=gates.tasks.max_accuracy_deficit)
    deciding = metrics.accuracy(judged, guess, truth)
    majority, linear = (bar.measured for bar in bars)
    measured = {
        "accuracy": deciding,
        "macro_f1": metrics.macro_f1(judged, guess, truth, num_labels=len(labels)),
        "baseline_accuracy": linear,
        "baseline_macro_f1": metrics.macro_f1(judged, simple.linear, truth, num_labels=len(labels)),
        "baseline_majority_accuracy": majority,
    }
    counted = predictor.counted(examples)
    if counted is not None:
        measured["baseline_words_accuracy"] = metrics.accuracy(judged, counted, truth)
    judging.begins("answers of other versions")
    incumbent, unaided = judging.beside(lambda other: accuracy_of(other, judged, labels))
    measured |= judging.champion_metric(incumbent)
    judging.begins("what it learnt from")
    each = np.exp(-label_nats(table, truth))
    outputs = [labels.names[c] for c in guess]
    return TaskEvidence(
        documents=judged,
        outputs=outputs,
        each=each,
        deciding=deciding,
        measured=measured,
        plain={
            "calibration_error": (calibration_error(table, truth), "share"),
            "baseline_calibration_error": (calibration_error(simple.linear_table, truth), "share"),
            "temperature": (predictor.record.temperature, ""),
            "val_loss_nats": (float(label_nats(table, truth).mean()), "nats"),
        },
        instrument=probe_classifier(
            predictor,
            judged,
            probabilities=table,
            seen_by_base=judging.seen_by_base,
            tokenizer_split=judging.tokenizer_split,
            limits=gates.instrument,
        ),
        bars=bars,
        incumbent=incumbent,
        fit=fit_of_classifier(
            predictor,
            judging.last(),
            labels=labels,
            learnt=learnt,
            judged=judged,
            table=table,
            stopped_early=judging.challenge.stopped_early,
        ),
        bias=measure_task_bias(predictor, train, judged),
        report=Shown(
            tables=[
                *_matrix(labels, guess, truth),
                _by_class(labels, guess, truth, simple.linear),
                _reliability(table, truth),
                *contrasts(judged, labels, truth, guess, resampling=judging.resampling),
                *gain_from_base(
                    deciding, unaided, base=judging.base, resampling=judging.resampling
                ),
            ],
            samples=_samples(judged, labels, table, each),
            attention=attention_maps(predictor, judging.texts, outputs, each),
            notes=_notes(judging, predictor, examples, train),
        ),
    )


def _notes(
    judging: Judging, predictor: Predictor, examples: Sequence[Example], train: Sequence[Document]
) -> dict[str, dict[str, Any]]:
    kinds = Counter(normal(d.target) for d in train)
    held = Counter(normal(d.target) for d in judging.judged)
    return {
        "classes": {
            name: f"train {kinds[name]:,}, judged {held[name]:,}"
            for name in sorted({*kinds, *held})[:200]
        },
        "training examples": judging.trained_on(),
        "lengths": notes_on_lengths(
            {"judged texts": [len(e.source) for e in examples]}, unit="tokens read"
        ),
        "truncation": {
            "tokens read at most": predictor.record.max_source_tokens,
            "judged texts cut": sum(e.truncated for e in examples),
        },
    }


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
    judged: Sequence[Document], labels: Labels, table: FloatArray, each: FloatArray
) -> list[dict[str, Any]]:
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
