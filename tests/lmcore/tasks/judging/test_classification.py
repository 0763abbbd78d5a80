"""What is measured and shown of a classifier, recounted from its answers."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lmcore.tasks.judging.classification import classify
from lmcore.tasks.judging.evidence import TaskEvidence


@pytest.fixture(scope="module")
def evidence(reviewed: Any) -> TaskEvidence:
    return classify(reviewed.judging())


def table(evidence: TaskEvidence, caption: str) -> Any:
    return next(t for t in evidence.report.tables if t["caption"].startswith(caption))


def test_answers_are_those_of_the_predictor_and_right_as_often_as_said(
    evidence: TaskEvidence, reviewed: Any
) -> None:
    texts = [document.text for document in evidence.documents]
    answers = reviewed.predictor.predict(texts)
    assert list(evidence.outputs) == [answer.output for answer in answers]
    targets = [document.target for document in evidence.documents]
    right = [found == wanted for found, wanted in zip(evidence.outputs, targets, strict=True)]
    assert evidence.deciding.value == np.mean(right)
    # How good an answer is: the probability of the right label.
    chances = [a.probabilities[t] for a, t in zip(answers, targets, strict=True)]
    assert evidence.each == pytest.approx(chances, abs=1e-5)
    loss, unit = evidence.plain["val_loss_nats"]
    assert (loss, unit) == (pytest.approx(-np.log(chances).mean(), rel=1e-3), "nats")


def test_the_matrix_counts_every_document_once(evidence: TaskEvidence) -> None:
    matrix = table(evidence, "Confusion")
    assert matrix["header"] == ["Label", "negative", "positive", "Right"]
    pairs = Counter(zip([d.target for d in evidence.documents], evidence.outputs, strict=True))
    for name, *counts, right in matrix["rows"]:
        assert [int(n) for n in counts] == [pairs[name, a] for a in ("negative", "positive")]
        assert right == f"{pairs[name, name] / sum(int(n) for n in counts):.1%}"


def test_each_label_has_its_precision_and_recall(evidence: TaskEvidence) -> None:
    targets = [document.target for document in evidence.documents]
    for name, documents, precision, recall, *_ in table(evidence, "By label")["rows"]:
        both = sum(t == a == name for t, a in zip(targets, evidence.outputs, strict=True))
        assert int(documents) == targets.count(name)
        assert precision == f"{both / list(evidence.outputs).count(name):.3f}"
        assert recall == f"{both / targets.count(name):.3f}"


def test_every_document_has_a_confidence(evidence: TaskEvidence) -> None:
    rows = table(evidence, "How much")["rows"]
    assert sum(int(row[1]) for row in rows) == len(evidence.documents)
    for span, _, mean, _ in rows:
        low, high = (float(bound.rstrip("%")) for bound in span.split(" to "))
        assert low <= float(mean.rstrip("%")) <= high


def test_samples_show_answer_confidence_and_label(evidence: TaskEvidence) -> None:
    samples = evidence.report.samples
    kinds = [sample["kind"] for sample in samples]
    assert set(kinds) == {"surest and right", "middling", "surest and wrong"}
    best = int(np.argmax(evidence.each))
    assert samples[0]["prompt"] == f"{evidence.documents[best].text}\n"
    label = evidence.documents[best].target
    assert samples[0]["text"] == f"→ {label} ({evidence.each[best]:.0%}); label: {label}"


def test_a_class_that_train_does_not_have_is_a_row_of_its_own_and_always_wrong(
    reviewed: Any,
) -> None:
    judged = list(reviewed.corpus.documents.iter_documents("validation"))[:40]
    judged[:3] = [replace(document, target="mixed") for document in judged[:3]]
    found = classify(reviewed.judging(judged=judged))
    *_, last = table(found, "Confusion")["rows"]
    assert (last[0], last[-1]) == ("(not in train)", "0.0%")
    assert sum(int(count) for count in last[1:-1]) == 3
    assert found.deciding.each[:3].tolist() == [0, 0, 0]
    assert found.report.notes["classes"]["mixed"] == "train 0, judged 3"
