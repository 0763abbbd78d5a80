"""Remember personal data as salted hashes, which can be asked and not read.

In: spans that were found.  Out: a set by which text that a model writes is asked whether it gives
away something personal that was in the data.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from lmcore.data.text.personal.spans import Span
from lmcore.data.text.personal.typography import plain


def normal_span(span: Span) -> str:
    """One spelling for each number or address, however it was written."""
    text = plain(span.text)
    if span.kind in ("EMAIL", "NAME"):
        return " ".join(text.casefold().split())
    if span.kind == "IP":
        return ipaddress.ip_address(text).compressed
    compact = "".join(c for c in text.upper() if c.isalnum())
    # A national number is the end of its international form.
    return compact[-9:] if span.kind == "PHONE" else compact


class SpanHashes:
    """A set of personal data that can be asked and not read.

    Each span is hashed with a salt and cut to 32 bits: of the 10^10 telephone numbers that
    somebody may try, two or three fit every entry, while a number that was never there is taken
    for one with a probability of (entries / 2^32).
    """

    MAX_ENTRIES = 1 << 20

    def __init__(self, salt: bytes) -> None:
        self.salt = salt
        self.complete = True
        self._sets: dict[str, set[int]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, spans: Iterable[Span]) -> None:
        """Remember spans; beyond `MAX_ENTRIES` the set says that it is not complete."""
        for span in spans:
            entries, value = self._sets.setdefault(span.kind, set()), self._hash(span)
            if value in entries:
                continue
            if self._size >= self.MAX_ENTRIES:
                self.complete = False
                return
            entries.add(value)
            self._size += 1

    def unite(self, other: SpanHashes) -> None:
        """Remember what another set with the same salt remembers."""
        assert other.salt == self.salt, "hashes with different salts cannot be compared"
        self.complete = self.complete and other.complete
        for kind, values in sorted(other._sets.items()):
            entries = self._sets.setdefault(kind, set())
            for value in sorted(values - entries):
                if self._size >= self.MAX_ENTRIES:
                    self.complete = False
                    return
                entries.add(value)
                self._size += 1

    def __contains__(self, span: Span) -> bool:
        return self._hash(span) in self._sets.get(span.kind, ())

    def _hash(self, span: Span) -> int:
        value = f"{span.kind}\0{normal_span(span)}".encode("utf-8", "replace")
        return int.from_bytes(hashlib.blake2b(value, digest_size=4, key=self.salt).digest(), "big")

    def to_json(self) -> dict[str, Any]:
        """Salt and sorted hashes by type."""
        return {
            "salt": self.salt.hex(),
            "complete": self.complete,
            "hashes": {kind: sorted(values) for kind, values in sorted(self._sets.items())},
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> SpanHashes:
        """What `to_json` gave."""
        found = cls(bytes.fromhex(raw["salt"]))
        found.complete = bool(raw["complete"])
        found._sets = {str(kind): set(values) for kind, values in raw["hashes"].items()}
        found._size = sum(map(len, found._sets.values()))
        return found
