"""How much of a source could be read: a run on the rest of a source is a run on other text.

In: each record and each piece of bad input.  Out: a refusal in one sentence where
more than the configured share was set aside, of the records or of the files: thirty
books in another encoding are thirty records among thousands, and still half of the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lmcore.data.sources.records import BadInput


class Readability:
    """Counts for one source while it is read.

    Attributes:
        records: Records and pieces of bad input.
        quarantined: Pieces of bad input.
    """

    def __init__(self) -> None:
        self.records = 0
        self.quarantined = 0
        self._files = 0
        self._unread_files = 0
        self._first_file: str | None = None
        self._last_file: str | None = None
        self._reasons: Counter[str] = Counter()
        self._first: BadInput | None = None

    def record(self, file: str) -> None:
        """A record, or a piece of bad input, came from this file."""
        self.records += 1
        if file != self._last_file:
            self._first_file = self._first_file or file
            self._last_file = file
            self._files += 1

    def quarantine(self, item: BadInput) -> None:
        """A record was set aside."""
        self.quarantined += 1
        self._unread_files += item.position == 0
        self._reasons[item.reason.partition(";")[0][:120]] += 1
        self._first = self._first or item

    def state(self) -> dict[str, Any]:
        """The counts as JSON, for `add`."""
        first = self._first
        return {
            "records": self.records,
            "quarantined": self.quarantined,
            "files": self._files,
            "unread_files": self._unread_files,
            "first_file": self._first_file,
            "last_file": self._last_file,
            "reasons": dict(self._reasons),
            "first": first and [first.file, first.position, first.reason],
        }

    def add(self, state: Mapping[str, Any], *, shift: int = 0) -> None:
        """Count what another one counted that went on where this one stands.

        Args:
            state: What `state` gave.
            shift: Lines of the same file that came before.
        """
        self.records += state["records"]
        self.quarantined += state["quarantined"]
        # A file that both have seen is one.
        again = self._last_file is not None and state["first_file"] == self._last_file
        self._files += state["files"] - again
        self._unread_files += state["unread_files"]
        self._reasons.update(state["reasons"])
        self._last_file = state["last_file"] or self._last_file
        if self._first is None and state["first"]:
            file, position, reason = state["first"]
            position += shift if position else 0
            self._first = BadInput(file=file, position=position, reason=reason)

    def refusal(self, *, place: str, limit: float) -> str:
        """Why a run must not go on with the rest of this source; empty if it may.

        Args:
            place: What the source is called in the configuration.
            limit: Share of records, and of files, that may be set aside.
        """
        if self._first is None:
            return ""
        for bad, total, what in (
            (self.quarantined, self.records, "records"),
            (self._unread_files, self._files, "files"),
        ):
            if bad > limit * total:
                return self._sentence(bad, total, what, place=place, limit=limit)
        return ""

    def _sentence(self, bad: int, total: int, what: str, *, place: str, limit: float) -> str:
        assert self._first is not None
        first = self._first
        where = f"{first.file}:{first.position}" if first.position else first.file
        reason, times = self._reasons.most_common(1)[0]
        often = f", {times:,} times" if times > 1 else ""
        return (
            f"{place}: {bad:,} of {total:,} {what} cannot be read, more than"
            f" data.max_quarantine_share={limit:g}; {reason}{often} (first {where}"
            f"{'' if first.reason == reason else ': ' + first.reason}). Mend them, say how they are"
            " to be read (format, encoding, delimiter, columns, files), or raise the share;"
            " `lmcore run --dry-run` lists each of them"
        )
