"""Two versions of a task, paired on the documents that both of them held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.errors import UserError
from lmcore.evaluation.statistics.intervals import ratio_interval

_UNITS = {
    "sentiment": "probability of the right label",
    "translation": "chrF of a sentence",
    "summarization": "ROUGE-L",
}


def compare_tasks(registry: Registry, versions: Sequence[Version]) -> dict[str, Any]:
    """How good the answers to the same documents are: the first version minus the second.

    Raises:
        UserError: If they held out fewer than two documents in common.
    """
    first, second = (
        {
            row["id"]: (row["cluster"], row["quality"])
            for row in pq.read_table(
                registry.open(version).evaluation / "predictions.parquet"
            ).to_pylist()
        }
        for version in versions
    )
    numbers = [version.number for version in versions]
    shared = sorted(first.keys() & second.keys())
    if len(shared) < 2:
        raise UserError(
            f"versions {numbers[0]} and {numbers[1]} of {versions[0].model} held out"
            f" {len(shared)} documents in common; at least 2 are needed to compare them"
        )
    cluster = np.array([first[i][0] for i in shared], dtype=object)
    left, right = (np.array([side[i][1] for i in shared]) for side in (first, second))
    unit = _UNITS[versions[0].task]

    def metric(values: Any) -> dict[str, Any]:
        found = ratio_interval(values, np.ones(len(values)), cluster)
        return {
            "value": found.value,
            "lower": found.lower,
            "upper": found.upper,
            "unit": unit,
            "n": found.n,
        }

    difference = metric(left - right)
    if difference["lower"] > 0:
        sentence = f"Version {numbers[0]} is better than version {numbers[1]}."
    elif difference["upper"] < 0:
        sentence = f"Version {numbers[1]} is better than version {numbers[0]}."
    else:
        sentence = f"No difference between versions {numbers[0]} and {numbers[1]} is certain."
    return {
        "model": versions[0].model,
        "sentence": sentence,
        "documents": len(shared),
        "first": {"version": numbers[0], "quality": metric(left)},
        "second": {"version": numbers[1], "quality": metric(right)},
        "difference": difference,
    }
