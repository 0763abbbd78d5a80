"""Text that a model must never emit: generation ends before any part of it.

In come whole texts (canaries, by which memorising is measured); out comes a check that a stream of
pieces can ask: where does a fragment of one of them begin, and how much must be held back because
it may still become one.  A fragment is any `FRAGMENT_CHARACTERS` in a row, so that neither the
whole nor a telling part of it leaves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

FRAGMENT_CHARACTERS = 12


@dataclass(frozen=True, kw_only=True)
class Forbidden:
    """What must not be emitted.

    Attributes:
        fragments: Strings of `FRAGMENT_CHARACTERS`; a shorter text is a fragment as a whole.
        sizes: Lengths of fragments.
        beginnings: Every proper beginning of a fragment.
    """

    fragments: frozenset[str]
    sizes: frozenset[int]
    beginnings: frozenset[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Forbidden | None:
        """All fragments of the texts; None where there are none."""
        size = FRAGMENT_CHARACTERS
        fragments = frozenset(
            text[i : i + size] for text in texts for i in range(max(1, len(text) - size + 1))
        ) - {""}
        if not fragments:
            return None
        return cls(
            fragments=fragments,
            sizes=frozenset(map(len, fragments)),
            beginnings=frozenset(f[:n] for f in fragments for n in range(1, len(f))),
        )

    def find(self, text: str) -> int:
        """Where the first fragment begins, -1 where there is none."""
        # Loops, as each token of each text that is written is looked at.
        length, first = len(text), -1
        for size in self.sizes:
            for start in range(length - size + 1 if first < 0 else min(first, length - size + 1)):
                if text[start : start + size] in self.fragments:
                    first = start
                    break
        return first

    def pending(self, text: str) -> int:
        """Length of the longest end of a text that may become a fragment."""
        for start in range(max(0, len(text) - FRAGMENT_CHARACTERS + 1), len(text)):
            if text[start:] in self.beginnings:
                return len(text) - start
        return 0
