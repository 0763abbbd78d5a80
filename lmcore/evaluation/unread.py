"""What a model may have read before its training here, and which held-out text it cannot have.

A model that began with one that exists owes some of what it predicts to text that nobody
recorded.  The text that it is judged on may have been among it, and no measurement on that text
can exclude it.  What can: text that is later than all that the base has read, where that day is
known.

In: the documents of a run and a model.  Out: the ids of held-out documents that are later, which
gates judge on where there are enough of them, and a sentence that says what cannot be excluded.
A document without a date counts as not later; a month or a year stands for its last day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import Any

from lmcore.evaluation.scores.table import ScoreTable


@dataclass(frozen=True, kw_only=True)
class Unread:
    """Held-out text that a base cannot have met.

    Attributes:
        known_until: Last day of the text that the base has read; None: not known.
        ids: Held-out documents that are later.
    """

    known_until: date | None
    ids: AbstractSet[str]

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], *, known_until: date | None) -> Unread:
        """Look through the rows of held-out documents.

        Args:
            rows: With `id` and `date`, ISO 8601 or None.
            known_until: See the class.
        """
        later: set[str] = set()
        if known_until is not None:
            day = known_until.isoformat()
            later = {str(row["id"]) for row in rows if (row["date"] or "")[:10] > day}
        return cls(known_until=known_until, ids=later)

    def later(self, table: ScoreTable) -> ScoreTable:
        """The rows of later documents."""
        return table.select(table.isin(self.ids))

    def judged_on(self, table: ScoreTable, *, least: int) -> tuple[AbstractSet[str], str]:
        """Which documents of a table a claim should rest on.

        Args:
            table: Scores of the model.
            least: So many later documents are enough.

        Returns:
            Their ids, and a sentence about what that means.
        """
        everything = frozenset(map(str, table.id))
        if self.known_until is None:
            return everything, (
                "The model that it began with may have read this text before: until when it knows"
                " the world is not stated (model.known_until)."
            )
        later = self.later(table)
        count, day = len(set(later.cluster)), self.known_until.isoformat()
        if count >= least:
            return frozenset(map(str, later.id)), (
                f"Judged on the {count} held-out documents that are later than {day}, until when"
                " the model that it began with knows the world, so it cannot have read them."
            )
        return everything, (
            f"The model that it began with knows the world until {day} and may have read this text"
            f" before: {count} of the held-out documents are later, and {least} would be enough to"
            " judge on them alone."
        )
