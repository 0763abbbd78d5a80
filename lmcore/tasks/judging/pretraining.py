"""What a base model brings: a candidate that began from one beside a version that did not.

Both answer the same held-out documents; those that either was trained on are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lmcore.counted import counted
from lmcore.evaluation.gates.champion import Incumbent
from lmcore.evaluation.statistics.measured import Measured
from lmcore.evaluation.statistics.resampling import Resampling
from lmcore.tasks.measures.metrics import difference


def gain_from_base(
    ours: Measured, unaided: Incumbent | None, *, base: str | None, resampling: Resampling
) -> list[dict[str, Any]]:
    """A table for the report: both values and the paired difference; none where nothing is beside.

    Args:
        ours: The candidate on the judged documents.
        unaided: The version that began from random weights, on the same.
        base: Name and version of what the candidate began from.
        resampling: Of the bootstrap.
    """
    if unaided is None or unaided.measured is None:
        return []
    unseen = np.array([identity not in unaided.train_ids for identity in ours.id])
    if unseen.sum() < 2:
        return []
    ours, theirs = ours.select(unseen), ours.aligned(unaided.measured).select(unseen)
    gain = ours.minus(theirs, resampling=resampling)
    version = f"Version {unaided.version}, from random weights"
    return [
        {
            "caption": "What the base model brings",
            "header": ["", ours.metric.heading],
            "rows": [
                [f"This version, from {base}", ours.shown()],
                [version, theirs.shown()],
                ["Difference, paired, 95 % bounds", difference(ours.metric, gain)],
            ],
            "note": f"On the same {counted(gain.n, 'held-out document')}. The two may also differ"
            " in other settings and in their training text: see their lineage.",
        }
    ]
