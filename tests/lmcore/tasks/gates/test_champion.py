"""Another version answers today's documents beside the candidate, whatever its classes are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.controls.bench import make_document
from lmcore.errors import UserError
from lmcore.evaluation.inputs import ChampionInput
from lmcore.evaluation.statistics.measured import Measured
from lmcore.tasks.gates.champion import accuracy_of, metric_of, version_beside
from lmcore.tasks.labels import Labels
from lmcore.tasks.prediction import Predictor

ROWS = [(f"{'fine' if n % 2 else 'dull'} number {n}", "ny"[n % 2]) for n in range(60)]
JUDGED = [
    make_document("fine 1", target="y"),
    make_document("dull 2", target="n"),
    make_document("fine 3", target="n"),
    make_document("dull 4", target="maybe"),
]


def labels(*names: str) -> Labels:
    return Labels(names=names, shares=(1 / len(names),) * len(names))


def place(folder: Path, **changes: object) -> ChampionInput:
    values = {"version": 4, "key": "k", "weights": folder, "tokenizer": folder, "removed": 2}
    return ChampionInput(**{**values, "train_ids": {"a"}, "known_ids": {"a", "b"}, **changes})


def test_answers_are_compared_by_the_names_of_labels(counting: Callable[..., Predictor]) -> None:
    other = counting(ROWS)
    # The candidate's classes stand in another order.
    assert accuracy_of(other, JUDGED, labels("y", "n", "maybe")).each.tolist() == [1, 1, 0, 0]
    # A class that only the other one knows is wrong, also where the target is unknown to both.
    assert accuracy_of(other, JUDGED, labels("n", "no")).each.tolist() == [0, 1, 0, 0]


def test_a_version_beside_is_measured_from_its_files(
    counting: Callable[..., Predictor], tmp_path: Path
) -> None:
    counting(ROWS, "champion")

    def measure(predictor: Predictor) -> Measured:
        return accuracy_of(predictor, JUDGED, labels("n", "y", "maybe"))

    found = version_beside(place(tmp_path / "champion"), measure)
    assert found is not None
    assert found.measured is not None
    assert (found.version, found.problem, found.removed) == (4, "", 2)
    assert found.measured.value == 0.5
    assert (found.train_ids, found.known_ids) == ({"a"}, {"a", "b"})
    assert version_beside(None, measure) is None


def test_a_version_that_cannot_be_read_stops_nobody(tmp_path: Path) -> None:
    found = version_beside(place(tmp_path), lambda _: pytest.fail("there is nothing to ask"))
    assert found is not None
    assert found.measured is None
    assert "not a tokenizer that can be read" in found.problem
    known = version_beside(
        place(tmp_path, problem="it was removed"), lambda _: pytest.fail("known beforehand")
    )
    assert known is not None
    assert known.problem == "it was removed"


def test_a_writer_is_measured_in_the_metric_that_is_asked_for(untrained_writer: Predictor) -> None:
    documents = [make_document(text, target=text) for text in ("a b c", "d e f")]
    outputs = [answer.output for answer in untrained_writer.predict([d.text for d in documents])]
    found = metric_of(untrained_writer, documents, "chrf")
    assert (found.metric.name, len(found)) == ("chrf", 2)
    # The same documents with its own outputs as the right answers.
    perfect = [make_document(d.text, target=o) for d, o in zip(documents, outputs, strict=True)]
    assert metric_of(untrained_writer, perfect, "chrf").value > found.value
    with pytest.raises(UserError, match="it is a model for translation"):
        metric_of(untrained_writer, documents, "rougeL")
