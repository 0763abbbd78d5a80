"""What a model may have read before its training here, and which held-out text it cannot have.

A model that began with one that exists owes some of what it predicts to text that nobody
recorded.  The text that it is judged on may have been among it, and no measurement on that text
can exclude it.  What can: text that is later than all that the base has read, where that day is
known.

In: the documents of a run and a model, or two that are compared.  Out: the ids of held-out
documents that are later, which gates judge on where there are enough of them, and a sentence that
says what cannot be excluded.
A document without a date counts as not later; a month or a year stands for its last day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from lmcore.counted import counted, named
from lmcore.evaluation.scores.table import ScoreTable

#: Whose base it is, as sentences have it.
OF_CANDIDATE = "the model that it began with"
OF_CHAMPION = "the model that the champion began with"


@dataclass(frozen=True, kw_only=True)
class Unread:
    """Held-out text that a base cannot have met.

    Attributes:
        known_until: Last day of the text that the base has read; None: not known.
        ids: Held-out documents that are later.
        who: Which base, in words.
    """

    known_until: date | None
    ids: AbstractSet[str]
    who: str = OF_CANDIDATE

    @classmethod
    def of(
        cls,
        rows: Iterable[Mapping[str, Any]],
        *,
        known_until: date | None,
        who: str = OF_CANDIDATE,
    ) -> Unread:
        """Look through the rows of held-out documents.

        Args:
            rows: With `id` and `date`, ISO 8601 or None.
            known_until: See the class.
            who: See the class.
        """
        later: set[str] = set()
        if known_until is not None:
            day = known_until.isoformat()
            later = {str(row["id"]) for row in rows if (row["date"] or "")[:10] > day}
        return cls(known_until=known_until, ids=later, who=who)

    def by(self, other: Unread | None) -> Unread:
        """Text that neither of two bases can have met; told of is the one that knows more."""
        if other is None:
            return self
        days = (self.known_until, other.known_until)
        mine = days[0] is None or (days[1] is not None and days[0] >= days[1])
        return replace(self if mine else other, ids=self.ids & other.ids)

    def later(self, table: ScoreTable) -> ScoreTable:
        """The rows of later documents."""
        return table.select(table.isin(self.ids))

    def judged_on(self, table: ScoreTable, *, least: int) -> Rest:
        """Which documents of a table a claim should rest on.

        Args:
            table: Scores of the model.
            least: So many later documents are enough.
        """
        everything = frozenset(map(str, table.id))
        later = self.later(table)
        count, documents = len(set(later.cluster)), len(set(table.cluster))
        day = "" if self.known_until is None else self.known_until.isoformat()
        who = f"{self.who[0].upper()}{self.who[1:]}"
        judged, ids = count >= least, everything
        if not day:
            told = (
                f"{who} may have read this text before: until when it knows the world is not"
                " stated (model.known_until)."
            )
        elif judged:
            ids = frozenset(map(str, later.id))
            told = (
                f"Judged on the {counted(count, 'held-out document')} that"
                f" {named(count, 'is', 'are')} later than {day}, until when {self.who} knows the"
                " world, so it cannot have read them."
            )
        else:
            told = (
                f"{who} knows the world until {day} and may have read this text before: {count} of"
                f" the {counted(documents, 'held-out document')} {named(count, 'is', 'are')} later,"
                f" and {least} would be enough to judge on them alone."
            )
        return Rest(
            ids=ids,
            told=told,
            facts={
                "known_until": day or None,
                "later_documents": count,
                "documents": documents,
                "judged_on_later": judged,
            },
        )


@dataclass(frozen=True, kw_only=True)
class Rest:
    """What a claim rests on.

    Attributes:
        ids: Documents.
        told: What that means, in a sentence.
        facts: The same for programs, as JSON values; documents are counted without near-copies.
    """

    ids: AbstractSet[str]
    told: str
    facts: Mapping[str, Any]
