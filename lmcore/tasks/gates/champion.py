"""The gate `champion` of a task: another version answers today's documents beside the candidate.

What decides is in `lmcore.evaluation.gates.champion`; here a version is loaded and measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lmcore.data.documents import Document
from lmcore.data.tokens.tokenizer import load_tokenizer
from lmcore.errors import UserError
from lmcore.evaluation.config import BleuTokenizer
from lmcore.evaluation.gates.champion import Incumbent, measure_incumbent
from lmcore.evaluation.inputs import ChampionInput
from lmcore.evaluation.statistics.measured import Measured
from lmcore.tasks.labels import Labels
from lmcore.tasks.learning.class_scores import OnAnswered, nobody_asks
from lmcore.tasks.measures.metrics import accuracy, of_written
from lmcore.tasks.prediction import Predictor


def version_beside(
    given: ChampionInput | None, measure: Callable[[Predictor], Measured]
) -> Incumbent | None:
    """Another version by what it answers today; None where there is none.

    Args:
        given: Its files.
        measure: The deciding metric over all judged documents with a predictor.
    """

    def load(version: ChampionInput) -> Measured:
        return measure(Predictor(version.weights, load_tokenizer(version.tokenizer)))

    return measure_incumbent(given, load)


def accuracy_of(other: Predictor, documents: Sequence[Document], labels: Labels) -> Measured:
    """How often another classifier is right; a class that only it knows is a wrong answer.

    Args:
        other: It, with classes of its own.
        documents: Judged ones.
        labels: Classes of the candidate.
    """
    place = {name: index for index, name in enumerate(labels.names)}
    names = other.record.labels
    table = other.probabilities(other.encode([d.text for d in documents]))
    found = [place.get(names[int(c)], len(labels)) for c in table.argmax(axis=1)]
    return accuracy(documents, found, labels.index(d.target for d in documents))


def metric_of(
    other: Predictor,
    documents: Sequence[Document],
    name: str,
    *,
    tokenizer: BleuTokenizer = "auto",
    on_answered: OnAnswered = nobody_asks,
) -> Measured:
    """What another writer's texts are worth in one metric.

    Args:
        other: It.
        documents: Judged ones.
        name: Of the metric.
        tokenizer: Of BLEU, as for the candidate.
        on_answered: Told how many documents are answered.

    Raises:
        UserError: If it writes for another task.
    """
    answers = other.predict([d.text for d in documents], on_answered=on_answered)
    outputs = [answer.output for answer in answers]
    measured = of_written(other.record.task, documents, outputs, tokenizer=tokenizer)
    found = {m.metric.name: m for m in measured}
    if name not in found:
        raise UserError(f"it is a model for {other.record.task}")
    return found[name]
