"""What monitoring found of documents, as the answer of `lmcore monitor` tells it.

It needs no model, so that where nothing is fresh nobody waits for one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lmcore.evaluation.drift.config import MonitorConfig
from lmcore.evaluation.drift.drift import Arrivals, Compared, Drift, judge_compared
from lmcore.evaluation.drift.text_shift import Lengths
from lmcore.evaluation.statistics.intervals import Interval


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    """What was found.

    Attributes:
        drift: The answer.
        arrivals: Today's documents by what the champion knows of them.
        scored: Fresh documents that were scored.
        check_documents: Reference documents that were scored again.
        check: Bits per byte of these, now minus then; None where fewer than two are still there.
        tokens_per_byte: Of the champion's tokenizer; None where there is too little fresh text.
        unseen_words: Share of the words' bytes that its training text did not hold; None where
            that text, or its validation text, is no longer among the sources.
        lengths: Of documents; None without fresh ones.
    """

    drift: Drift
    arrivals: Arrivals
    scored: int
    check_documents: int
    check: Interval | None
    tokens_per_byte: Compared | None
    unseen_words: Compared | None
    lengths: Lengths | None

    def to_json(self) -> dict[str, Any]:
        """The part of the answer of `lmcore monitor --json` that does not name the champion."""
        drift, arrivals = self.drift, self.arrivals
        return {
            "outcome": drift.outcome,
            "reason": drift.reason,
            "documents": {
                "known": arrivals.known,
                "near_copies": arrivals.copies,
                "excluded": arrivals.excluded,
                "fresh": len(arrivals.fresh),
                "fresh_bytes": arrivals.fresh_bytes,
                "scored": self.scored,
                "clusters": drift.documents,
                "needed": drift.documents_needed,
            },
            "bits_per_byte": _compared(drift.compared),
            "limit": drift.limit,
            "unit": "bits/byte",
            "check": {
                "documents": self.check_documents,
                "difference": None if self.check is None else asdict(self.check),
            },
            "tokens_per_byte": _compared(self.tokens_per_byte),
            "unseen_words": _compared(self.unseen_words),
            "lengths": None if self.lengths is None else self.lengths.to_json(),
        }


def nothing_arrived(known: int, *, limits: MonitorConfig) -> Monitoring:
    """What is found where every document of today is one of the champion's data.

    Args:
        known: How many there are.
        limits: What is tolerated, and how many documents are enough.
    """
    return Monitoring(
        drift=judge_compared(None, count=0, limits=limits),
        arrivals=Arrivals(known=known, copies=0, excluded=0, fresh={}),
        scored=0,
        check_documents=0,
        check=None,
        tokens_per_byte=None,
        unseen_words=None,
        lengths=None,
    )


def _compared(compared: Compared | None) -> dict[str, Any] | None:
    return None if compared is None else compared.to_json()
