"""Judge a classifier: everything that is measured of sentiment."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lmcore.data.documents import Document, DocumentSet
from lmcore.data.shards import ShardSet
from lmcore.data.tokenizer import Tokenizer, load_tokenizer
from lmcore.errors import LmcoreError
from lmcore.evaluation.config import GatesConfig
from lmcore.evaluation.inputs import ChampionInput, TrainedModel
from lmcore.evaluation.intervals import Sums
from lmcore.tasks import baselines, metrics
from lmcore.tasks.bias import measure_task_bias
from lmcore.tasks.calibration import calibration_error
from lmcore.tasks.evidence import (
    TaskEvidence,
    chosen_samples,
    clusters,
    learnt_documents,
    lengths_ledger,
)
from lmcore.tasks.labels import Labels, normal
from lmcore.tasks.merit import ChampionFacts, Compared
from lmcore.tasks.prediction import FloatArray, Predictor
from lmcore.tasks.soundness import FitFacts, InstrumentFacts

_PROBED = 16
_TINY = 1e-12
_MAX_MATRIX = 20


def classify(
    *,
    documents: DocumentSet,
    judged: Sequence[Document],
    seen_by_base: int,
    tokenizer: Tokenizer,
    tokenizer_split: str,
    shards: ShardSet,
    checkpoint: TrainedModel,
    champion: ChampionInput | None,
    gates: GatesConfig,
    device: str,
) -> TaskEvidence:
    """Measure a classifier and what it is held against on the judged documents."""
    predictor = Predictor(checkpoint.path / "best", tokenizer, device=device)
    labels = Labels(names=predictor.record.labels, shares=predictor.record.shares)
    texts, truth = [d.text for d in judged], labels.index(d.target for d in judged)
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
    incumbent = _champion(champion, judged, truth, labels, ours=measured["accuracy"], device=device)
    if incumbent is not None and incumbent.theirs is not None and not incumbent.seen:
        measured["champion_accuracy"] = incumbent.theirs
    learnt = learnt_documents(documents, shards, checkpoint, limit=gates.tasks.max_train_documents)
    kinds = Counter(normal(d.target) for d in train)
    held = Counter(normal(d.target) for d in judged)
    own, other = baselines.own_label_share(texts, [normal(d.target) for d in judged])
    return TaskEvidence(
        documents=judged,
        outputs=[labels.names[c] for c in guess],
        each=_confidence(table, truth),
        measured=measured,
        plain={
            "calibration_error": (calibration_error(table, truth), "share"),
            "baseline_calibration_error": (calibration_error(linear_table, truth), "share"),
            "temperature": (predictor.record.temperature, ""),
            "val_loss_nats": (float(_nats(table, truth).mean()), "nats"),
        },
        instrument=InstrumentFacts(
            neighbours=_neighbours(predictor, texts[:_PROBED]),
            probability_sum=float(np.abs(table.sum(axis=1) - 1).max()),
            causality=None,
            own_label=own,
            other_label=other,
            seen_by_base=seen_by_base,
            documents=len(judged),
            tokenizer_split=tokenizer_split,
        ),
        compared=Compared(
            deciding=measured["accuracy"],
            bar=measured["baseline_majority_accuracy"],
            bar_name="always the most frequent label",
            cluster=clusters(judged),
            linear=measured["baseline_accuracy"],
        ),
        champion=incumbent,
        fit=_fit(predictor, checkpoint, labels, judged, truth, table, learnt, device=device),
        bias=measure_task_bias(predictor, train, judged),
        tables=[
            *_matrix(labels, guess, truth),
            _by_class(labels, guess, truth, linear),
            _reliability(table, truth),
        ],
        samples=_samples(judged, labels, table, truth),
        ledger={
            "classes": {
                name: f"train {kinds[name]:,}, judged {held[name]:,}"
                for name in sorted({*kinds, *held})[:200]
            },
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


def _neighbours(predictor: Predictor, texts: Sequence[str]) -> float:
    """Largest change of a log-probability by the texts beside it and by padding."""
    together = predictor.probabilities(predictor.encode(texts))
    alone = np.concatenate([predictor.probabilities(predictor.encode([text])) for text in texts])
    return float(np.abs(np.log(together + _TINY) - np.log(alone + _TINY)).max())


def _champion(
    given: ChampionInput | None,
    judged: Sequence[Document],
    truth: Sequence[int],
    labels: Labels,
    *,
    ours: metrics.Measured,
    device: str,
) -> ChampionFacts | None:
    if given is None:
        return None
    facts: dict[str, Any] = {"version": given.version, "removed": given.removed}
    if given.problem:
        return ChampionFacts(**facts, problem=given.problem)
    try:
        predictor = Predictor(given.weights, load_tokenizer(given.tokenizer), device=device)
        table = predictor.probabilities(predictor.encode([d.text for d in judged]))
    except (LmcoreError, AssertionError) as error:
        return ChampionFacts(**facts, problem=str(error))
    place = {name: index for index, name in enumerate(labels.names)}
    names = predictor.record.labels
    # A class that only the champion knows is another wrong answer.
    guess = [place.get(names[int(c)], len(labels)) for c in table.argmax(axis=1)]
    rows = np.array([d.id not in given.train_ids for d in judged])
    if rows.sum() < 2:
        return ChampionFacts(**facts, problem="it was trained on the held-out documents of today")
    return ChampionFacts(
        **facts,
        theirs=metrics.accuracy(guess, truth).select(rows),
        ours=ours.select(rows),
        cluster=clusters(judged)[rows],
        seen=int((~rows).sum()),
    )


def _fit(
    predictor: Predictor,
    checkpoint: TrainedModel,
    labels: Labels,
    judged: Sequence[Document],
    truth: Sequence[int],
    table: FloatArray,
    learnt: Sequence[Document],
    *,
    device: str,
) -> FitFacts:
    def right(found: FloatArray, wanted: Sequence[int], docs: Sequence[Document]) -> Sums:
        hits = (found.argmax(axis=1) == np.asarray(wanted)).astype(np.float64)
        return Sums(numerator=hits, denominator=np.ones_like(hits), cluster=clusters(docs))

    seen = predictor.probabilities(predictor.encode([d.text for d in learnt]))
    facts = checkpoint.summary
    later = None
    if facts.get("final_weights_sha256") != facts.get("weights_sha256"):
        last = Predictor(checkpoint.path / "final", predictor.tokenizer, device=device)
        found = last.probabilities(last.encode([d.text for d in judged]))
        rise = _nats(found, truth) - _nats(table, truth)
        later = Sums(numerator=rise, denominator=np.ones_like(rise), cluster=clusters(judged))
    return FitFacts(
        train=right(seen, labels.index(d.target for d in learnt), learnt),
        validation=right(table, truth, judged),
        relative=False,
        final_minus_best=later,
        stopped_early=bool(facts.get("stopped_early")),
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
