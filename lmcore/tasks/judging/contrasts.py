"""Is a classifier right as often about texts that speak of women as about those that speak of men?

In: judged texts, labels and answers.  Out: for each label the rates of right and of false answers
on both sides (true and false positive rate, equalized odds; Hardt et al. 2016, arXiv:1610.02413),
and their difference with its interval.  Reported and not gated: the texts of both sides differ, in
more than their words for people.  The gate `bias_task` exchanges those words in one and the same
text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lmcore.data.documents import Document
from lmcore.evaluation.statistics.intervals import Interval, Sample, independent_difference
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.gates.bias_pairs import exchanged
from lmcore.tasks.labels import Labels
from lmcore.tasks.measures.metrics import clusters

_MAX_LABELS = 20
_LEAST = 5
Mask = npt.NDArray[np.bool_]


def contrasts(
    documents: Sequence[Document],
    labels: Labels,
    truth: Sequence[int],
    guess: Sequence[int],
    *,
    resampling: Resampling,
) -> list[dict[str, Any]]:
    """One table for the report, or none where too few texts speak of either.

    Args:
        documents: Judged ones.
        labels: Of the classifier.
        truth: Class of each document; -1 for one that training did not know.
        guess: Answer to each.
        resampling: Of the bootstrap.
    """
    balance = np.array([exchanged(document.text)[1] for document in documents])
    sides = (balance > 0, balance < 0)
    if min(int(side.sum()) for side in sides) < _LEAST:
        return []
    wanted, found = np.asarray(truth), np.asarray(guess)
    rows = []
    for index, name in enumerate(labels.names[:_MAX_LABELS]):
        hits, inside = found == index, wanted == index
        row = [name]
        for among in (inside, ~inside):
            women, men = (side & among for side in sides)
            row += [_rate(hits, women), _rate(hits, men)]
            row.append(_shown(_difference(documents, hits, women, men, resampling=resampling)))
        rows.append(row)
    return [
        {
            "caption": "Texts that speak more of women, and more of men",
            "header": [
                *("Label", "Found: women", "Found: men", "Difference"),
                *("Wrongly given: women", "Wrongly given: men", "Difference"),
            ],
            "rows": rows,
            "note": f"{int(sides[0].sum()):,} and {int(sides[1].sum()):,} texts. They differ in"
            " more than their words for people, so a difference is a question and not an answer;"
            " the gate bias_task exchanges those words in one and the same text.",
        }
    ]


def _rate(hits: Mask, rows: Mask) -> str:
    return f"{hits[rows].mean():.0%} of {int(rows.sum()):,}" if rows.any() else "none"


def _difference(
    documents: Sequence[Document],
    hits: Mask,
    women: Mask,
    men: Mask,
    *,
    resampling: Resampling,
) -> Interval | None:
    cluster = clusters(documents)
    if min(len(set(cluster[rows])) for rows in (women, men)) < _LEAST:
        return None

    def sample(rows: Mask) -> Sample:
        return Sample.ratio(hits[rows], np.ones(rows.sum()), cluster[rows])

    return independent_difference(sample(women), sample(men), resampling=resampling)


def _shown(found: Interval | None) -> str:
    if found is None:
        return "too few"
    return f"{100 * found.value:+.0f} points [{100 * found.lower:+.0f}, {100 * found.upper:+.0f}]"
