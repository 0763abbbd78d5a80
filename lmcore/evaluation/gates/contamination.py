"""Gate `contamination`: is validation text unseen, or does some of it stand in the training text?

Statistic: share of validation passages of about 1,000 bytes that are *copied*: the longest run of
13-word sequences that stand in train has at least 13 words and a fifth of the passage's, or one
train document holds half of the passage's words in short sequences (an edited copy).  Sequences
common to many train documents are exempt (`lmcore.evaluation.memory.contamination`).

PASS: the upper bound of the share is within the limit; exact bounds, clustered by document.  A
copied validation set makes every other score too good, so this one is asked of the data, whatever
the model.
Source: as named in `lmcore.evaluation.memory.contamination` and
`lmcore.evaluation.statistics.rates`.
"""

from __future__ import annotations

import numpy as np

from lmcore.counted import counted, named
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.config import ContaminationLimits
from lmcore.evaluation.gates.result import GateResult, judge_upper, needs
from lmcore.evaluation.memory.contamination import LONG_WORDS, Contamination
from lmcore.evaluation.statistics.power import to_clear_rate
from lmcore.evaluation.statistics.rates import clustered_rate

NAME = "contamination"
_EXAMPLES = 5


def contamination(
    found: Contamination, *, limits: ContaminationLimits, required: bool
) -> GateResult:
    """Judge how many validation passages are copied.

    Args:
        found: How much of each passage stands in train.
        limits: What counts as copied, and how much of it is allowed.
        required: Whether promotion needs this gate.

    Raises:
        EmptyEvaluationError: With passages of fewer than two documents, or without train text.
    """
    if not found.train_documents:
        raise EmptyEvaluationError("there is no training text to compare validation with")
    long = (found.longest >= LONG_WORDS) & (
        found.longest >= limits.min_share_of_passage * found.words
    )
    edited = found.covered >= limits.min_covered_share
    copied = long | edited
    rate = clustered_rate(copied, found.cluster)
    outcome = judge_upper(rate, limits.max_share)
    documents = len(set(found.document[copied]))
    hits = int(copied.sum())
    where = f" of {counted(documents, 'document')}" if hits else ""
    return GateResult(
        gate=NAME,
        required=required,
        outcome=outcome,
        value=rate.value,
        lower=rate.lower,
        upper=rate.upper,
        limit=limits.max_share,
        unit="share",
        reason=(
            f"{hits:,} of {counted(len(found), 'passage')}{where} that the model is judged on also"
            f" {named(hits, 'stands', 'stand')} in its training text, word for word or edited:"
            f" {rate.value:.2%} (at most {rate.upper:.2%}, allowed {limits.max_share:.0%}); phrases"
            f" common to more than {counted(found.common_documents, 'training document')} do not"
            " count."
        ),
        evidence={
            "share": rate.to_json(),
            "passages": len(found),
            **needs(
                to_clear_rate(rate, limits.max_share, what="passages of held-out text")
                if outcome == "INCONCLUSIVE"
                else None
            ),
            "copied": hits,
            "verbatim": int(long.sum()),
            "edited": int((edited & ~long).sum()),
            "too_short_to_judge": found.too_short,
            "train_documents": found.train_documents,
            "longest_match_words": int(found.longest.max(initial=0)),
            "largest_covered_share": float(found.covered.max(initial=0.0)),
            "examples": [
                {
                    "document": str(found.document[row]),
                    "words": int(found.words[row]),
                    "longest": int(found.longest[row]),
                    "covered": round(float(found.covered[row]), 3),
                }
                for row in np.flatnonzero(copied)[:_EXAMPLES].tolist()
            ],
        },
    )
