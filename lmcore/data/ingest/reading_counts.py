"""Counts of everything that ingest did to the text, and the quarantine file.

In: one call for each event.  Out: plain JSON values whose sums agree: records read
= documents + exact duplicates + dropped + quarantined.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from lmcore.counted import counted, named
from lmcore.data.config import SourceConfig
from lmcore.data.sources.records import BadInput, LeftOut
from lmcore.data.text.cleaning import Cleaned
from lmcore.data.text.privacy import Masked, SpanHashes

MAX_NAMES = 1000
#: File, and line or row in it.
Place = tuple[str, int]
#: Why a text was dropped of which `data.as_of` cannot say whether it is too late.
WITHOUT_DATE = "without_date"


def name_of(file: str, position: int) -> str:
    """What a text is called: its file, and its place in it where there are several."""
    return f"{file}:{position}" if position else file


class Tally:
    """Counts while the sources are read; the quarantine is written as it happens.

    Attributes:
        personal: Hashes of the personal data that was found, masked or not.
    """

    def __init__(self, quarantine_path: Path, *, salt: bytes) -> None:
        self.personal = SpanHashes(salt)
        self._path = quarantine_path
        self._stream = quarantine_path.open("w", encoding="utf-8")
        self._records = 0
        self._bytes = 0
        self._rules: dict[str, Counter[str]] = {}
        self._dropped: dict[str, Counter[str]] = {}
        self._dropped_places: dict[str, list[Place]] = {}
        self._masked_documents = 0
        self._masked: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._first_bad: BadInput | None = None
        self._skipped: list[str] = []
        self._skip_reasons: Counter[str] = Counter()
        self._duplicates: list[str] = []
        self._duplicate_counts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    @property
    def quarantined(self) -> int:
        """Number of pieces of bad input."""
        return self._reasons.total()

    @property
    def duplicates(self) -> int:
        """Number of texts that were there already."""
        return self._duplicate_counts["documents"]

    @property
    def replacements(self) -> dict[str, int]:
        """How much personal data was masked, by type."""
        return dict(sorted(self._masked.items()))

    def dropped(self, reason: str) -> int:
        """Texts that a rule left out."""
        return self._dropped.get(reason, Counter())["documents"]

    def record(self) -> None:
        """A record or a piece of bad input was read."""
        self._records += 1

    def cleaned(self, cleaned: Cleaned) -> None:
        """A text went through cleaning."""
        self._bytes += cleaned.num_bytes
        for change in cleaned.changes:
            counter = self._rules.setdefault(change.rule, Counter())
            counter.update(documents=1, removed_bytes=change.removed_bytes)
            self._bytes += change.removed_bytes

    def found(self, masked: Masked) -> None:
        """Personal data was found in a text, whether or not it was masked then."""
        self.personal.add(masked.spans)

    def masked(self, masked: Masked) -> None:
        """A text went through masking."""
        if masked.counts:
            self._masked_documents += 1
            self._masked.update(masked.counts)

    def drop(
        self, reason: str, documents: int, num_bytes: int, *, place: Place | None = None
    ) -> None:
        """Usable text was left out by a rule; what has a place is listed by it."""
        if documents:
            counter = self._dropped.setdefault(reason, Counter())
            counter.update(documents=documents, bytes=num_bytes)
            places = self._dropped_places.setdefault(reason, [])
            if place and len(places) < MAX_NAMES:
                places.append(place)

    def duplicate(self, name: str, num_bytes: int) -> None:
        """A text was there already."""
        self._duplicate_counts.update(documents=1, bytes=num_bytes)
        if len(self._duplicates) < MAX_NAMES:
            self._duplicates.append(name)

    def skipped(self, left_out: Sequence[LeftOut]) -> None:
        """Files, or parts of them, were passed over: hidden, about the data, pictures."""
        self._skip_reasons.update(item.reason for item in left_out)
        self._skipped += [item.file for item in left_out[: MAX_NAMES - len(self._skipped)]]

    def quarantine(self, item: BadInput) -> None:
        """Bad input was set aside."""
        entry = {"path": item.file, "position": item.position, "reason": item.reason}
        self._stream.write(json.dumps(entry) + "\n")
        self._first_bad = self._first_bad or item
        # Figures in a reason would make each a kind of its own.
        self._reasons[re.sub(r"\d[\d,.]*", "N", item.reason.partition(":")[0])[:80]] += 1

    def state(self) -> dict[str, Any]:
        """The counts as JSON, for `add`; duplicates are of all parts together, and not here."""
        bad = self._first_bad
        return {
            "records": self._records,
            "bytes": self._bytes,
            "rules": self._rules,
            "dropped": self._dropped,
            "dropped_places": self._dropped_places,
            "masked_documents": self._masked_documents,
            "masked": self._masked,
            "reasons": self._reasons,
            "first_bad": bad and [bad.file, bad.position, bad.reason],
            "skipped": self._skipped,
            "skip_reasons": self._skip_reasons,
            "personal": self.personal.to_json(),
        }

    def add(self, state: Mapping[str, Any], quarantine: Path, *, shift: int = 0) -> None:
        """Count what another one counted that read what comes next.

        Args:
            state: What `state` gave.
            quarantine: The file that it wrote.
            shift: Lines of the same file that came before.
        """
        self._records += state["records"]
        self._bytes += state["bytes"]
        self._masked_documents += state["masked_documents"]
        for rule, counts in state["rules"].items():
            self._rules.setdefault(rule, Counter()).update(counts)
        for reason, counts in state["dropped"].items():
            self._dropped.setdefault(reason, Counter()).update(counts)
            places = self._dropped_places.setdefault(reason, [])
            for file, position in state["dropped_places"][reason][: MAX_NAMES - len(places)]:
                places.append((file, position and position + shift))
        self._masked.update(state["masked"])
        self._reasons.update(state["reasons"])
        if self._first_bad is None and state["first_bad"]:
            file, position, reason = state["first_bad"]
            self._first_bad = BadInput(
                file=file, position=position and position + shift, reason=reason
            )
        self._skipped += state["skipped"][: MAX_NAMES - len(self._skipped)]
        self._skip_reasons.update(state["skip_reasons"])
        self.personal.unite(SpanHashes.from_json(state["personal"]))
        with quarantine.open(encoding="utf-8") as lines:
            for line in lines:
                entry = json.loads(line)
                if shift and entry["position"]:
                    entry["position"] += shift
                    line = json.dumps(entry) + "\n"
                self._stream.write(line)

    def nothing_left(self, sources: Sequence[SourceConfig]) -> str:
        """Why there is no document at all, in one sentence."""
        places = ", ".join(s.place for s in sources[:3])
        problems = []
        if self._first_bad is not None:
            item = self._first_bad
            where = name_of(item.file, item.position)
            problems.append(
                f"{self.quarantined} of {counted(self._records, 'piece')} of input could not be"
                f" used, the"
                f" first is {where}: {item.reason}"
            )
        problems += [
            f"{counted(counter['documents'], 'text')} {named(counter['documents'], 'was', 'were')}"
            f" {reason.replace('_', ' ')}"
            for reason, counter in self._dropped.items()
        ]
        if self.dropped(WITHOUT_DATE):
            problems.append(_no_dates(sources))
        reason = "; ".join(problems) or "the sources are empty"
        return f"no document is left of {places}: {reason}. Mend the input or name another source"

    def to_json(self) -> dict[str, Any]:
        """The account of the reading pass."""
        return {
            "records": {
                "read": self._records,
                "exact_duplicates": self._duplicate_counts["documents"],
                "dropped": sum(counter["documents"] for counter in self._dropped.values()),
                "quarantined": self.quarantined,
            },
            "bytes": {"read": self._bytes},
            "rules": {rule: dict(counter) for rule, counter in sorted(self._rules.items())},
            "masked": {
                "documents": self._masked_documents,
                "replacements": dict(sorted(self._masked.items())),
            },
            "dropped": {
                reason: {**counter, **({"names": names} if names else {})}
                for reason, counter in sorted(self._dropped.items())
                for names in [[name_of(*place) for place in self._dropped_places[reason]]]
            },
            "exact_duplicates": {
                "documents": self._duplicate_counts["documents"],
                "bytes": self._duplicate_counts["bytes"],
                "names": self._duplicates,
            },
            "quarantined": {
                "count": self.quarantined,
                "reasons": dict(sorted(self._reasons.items())),
            },
            "skipped_files": {
                "count": self._skip_reasons.total(),
                "names": self._skipped,
                "reasons": dict(sorted(self._skip_reasons.items())),
            },
        }


def _no_dates(sources: Sequence[SourceConfig]) -> str:
    """What to do where `data.as_of` is set and texts have no date."""
    missing = [f"sources[{i}]" for i, source in enumerate(sources) if source.date_field is None]
    named = f"; date_field is missing in {', '.join(missing[:3])}" if missing else ""
    return f"data.as_of sets aside what has no date{named}"
