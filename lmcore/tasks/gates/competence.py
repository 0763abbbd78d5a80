"""The gate `competence` of a task: which bars its answers are held against.

What decides is in `lmcore.evaluation.gates.competence`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lmcore.data.documents import Document
from lmcore.evaluation.gates.competence import Bar
from lmcore.evaluation.statistics.measured import Measured
from lmcore.tasks.measures.baselines import LabelBaselines, Writer
from lmcore.tasks.measures.metrics import accuracy


def bars_of_classifier(
    found: LabelBaselines,
    documents: Sequence[Document],
    truth: Sequence[int],
    *,
    max_deficit: float,
) -> list[Bar]:
    """The most frequent class has to be beaten; the linear model may be a little ahead.

    Args:
        found: Their answers.
        documents: Judged ones.
        truth: Their classes.
        max_deficit: How far the linear model may surely be ahead.
    """
    return [
        Bar(
            key="majority",
            name="always the most frequent label",
            measured=accuracy(documents, found.common, truth),
            must_be_beaten=True,
        ),
        Bar(
            key="linear",
            name="TF-IDF with logistic regression",
            measured=accuracy(documents, found.linear, truth),
            may_be_ahead=max_deficit,
        ),
    ]


def bars_of_writer(beside: Mapping[str, Writer], measured: Mapping[str, Measured]) -> list[Bar]:
    """The first writer has to be beaten, the others are reported.

    Args:
        beside: Simple writers by the prefix of their metrics.
        measured: The deciding metric of each, by the same prefix.
    """
    return [
        Bar(
            key=prefix,
            name=writer.name,
            measured=measured[prefix],
            must_be_beaten=prefix == "baseline",
        )
        for prefix, writer in beside.items()
    ]
