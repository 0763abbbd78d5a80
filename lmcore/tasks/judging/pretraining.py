"""What a base model brings: a candidate that began from one beside a version that did not.

Both answer the same held-out documents; those that either was trained on are left out.
"""

from __future__ import annotations

from typing import Any

from lmcore.tasks.gates.quality import ChampionFacts
from lmcore.tasks.judging.metrics import difference, figure


def gain_from_base(
    unaided: ChampionFacts | None, *, base: str | None, seed: int, resamples: int
) -> list[dict[str, Any]]:
    """A table for the report: both values and the paired difference; none where nothing is beside.

    Args:
        unaided: The version that began from random weights, on the judged documents.
        base: Name and version of what the candidate began from.
        seed: Of the bootstrap.
        resamples: Likewise.
    """
    if unaided is None or unaided.theirs is None or unaided.ours is None:
        return []
    ours, theirs = unaided.ours, unaided.theirs
    gain = ours.minus(theirs, unaided.cluster, seed=seed, resamples=resamples)
    metric = {"accuracy": "Accuracy", "bleu": "BLEU", "rougeL": "ROUGE-L"}[ours.name]
    return [
        {
            "caption": "What the base model brings",
            "header": ["", metric],
            "rows": [
                [f"This version, from {base}", figure(ours, ours.value)],
                [f"Version {unaided.version}, from random weights", figure(theirs, theirs.value)],
                ["Difference, paired, 95 % bounds", difference(ours, gain)],
            ],
            "note": f"On the same {gain.n} held-out documents. The two may also differ in other"
            " settings and in their training text: see their lineage.",
        }
    ]
