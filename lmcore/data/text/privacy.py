"""Mask personal data by pattern and checksum, and count what was masked.

In: cleaned text.  Out: the text with `<EMAIL>`, `<IBAN>`, `<CARD>`, `<SSN>`, `<ID>`, `<IP>` and
`<PHONE>` in place of what was found.  Types that carry a checksum, or a plan of valid ranges, are
decided by it, so ordinary numbers, years, versions and amounts of money stay as they are.  This is
pattern masking: postal addresses are not found, and names only by `lmcore.data.text.person_names`.

Every finder reads the same view of the text (`personal.typography`), in which blanks, hyphens and
digits are those of ASCII.  Each kind begins from what is rare: an `@`, two colons, a letter that
runs into a digit, or a run of seven and more digits and separators; so ordinary text costs a few
scans.  Every pattern is linear on hostile text, as its quantifiers are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from lmcore.data.text.personal.accounts import find_cards, iban_valid, luhn_valid, match_iban
from lmcore.data.text.personal.addresses import find_ipv4, find_ipv6
from lmcore.data.text.personal.cues import is_announced, words_before
from lmcore.data.text.personal.emails import find_emails
from lmcore.data.text.personal.hashes import SpanHashes, normal_span
from lmcore.data.text.personal.identities import find_identities, match_lettered, match_nino
from lmcore.data.text.personal.phones import PhoneFinder
from lmcore.data.text.personal.spans import Found, Masked, Span
from lmcore.data.text.personal.typography import plain

__all__ = [
    "Masked",
    "Masking",
    "Span",
    "SpanHashes",
    "iban_valid",
    "luhn_valid",
    "mask",
    "normal_span",
]

# A letter, or a word of two letters and a blank, in front of two digits.
_JUNCTION = re.compile(
    r"[0-9](?:(?<=[A-Za-z].)|(?<=[^A-Za-z][A-Za-z]{2}[ -].)|(?<=\A[A-Za-z]{2}[ -].))[0-9]"
)
_WORD = re.compile(r"(?<![0-9A-Za-z_])[A-Za-z]{1,6}[ -]?\Z")
_RUN = re.compile(r"[+(0-9](?<![0-9A-Za-z_].)[0-9 ()./+-]{6,}")
# What a run has that is more than a row of numbers, or one with blanks between its thousands.
_TELLING = re.compile(
    r"[+(/-]|(?<![0-9.,])0[0-9]|[0-9]{9}|[0-9]{8} ?(?:[0-9] ?)?[A-Z]|[0-9]\.[0-9]+\.[0-9]"
    r"|[0-9] [0-9]{2} [0-9]{2}(?![0-9])"
    r"|(?<![0-9])(?:[0-9]{3} [0-9]{3,4} [0-9]{4}|[0-9]{3} [0-9]{7}|[0-9]{4} [0-9]{4} [0-9]{4}"
    r"|[0-9]{4} [0-9]{6} [0-9]{4,5}|[0-9]{5} [0-9]{5}|[0-9]{6} [0-9]{4,7}"
    r"|[0-9]{2} [0-9]{3} [0-9]{3} [0-9]{3})(?![0-9])"
)
_SEVEN = re.compile(r"(?:[^0-9]*[0-9]){7}")
_BESIDE = 8
# A letter behind a number makes it a code of some kind, but for an extension (x12).
_GOES_ON = re.compile(r"(?![xX][0-9])[0-9A-Za-z_]")
#: What stands where something was found: no finder reads it.
_GONE = "\0"
# What was masked may uncover a number beside it; few texts need a second round, none this many.
_ROUNDS = 16


@dataclass(frozen=True)
class Masking:
    """How personal data is masked.

    Attributes:
        regions: Whose national telephone numbers count; None: see `personal.phones`.
    """

    regions: tuple[str, ...] | None = None
    _phones: PhoneFinder = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_phones", PhoneFinder(self.regions))

    @staticmethod
    def of(regions: Sequence[str] | None) -> Masking:
        """The masking of a configuration (`data.phone_regions`)."""
        return _of(None if regions is None else tuple(regions))

    def mask(self, text: str) -> Masked:
        """Replace personal data by placeholders.

        Args:
            text: Cleaned text.

        Returns:
            The masked text, and the number of replacements by type (types without any are
            absent).  Masking it again changes nothing.
        """
        counts: dict[str, int] = {}
        spans: list[Span] = []
        for _ in range(_ROUNDS):
            found = self.find(text)
            if not found:
                break
            pieces: list[str] = []
            end = 0
            for start, stop, kind in found:
                pieces += (text[end:start], f"<{kind}>")
                spans.append(Span(kind=kind, text=text[start:stop]))
                counts[kind] = counts.get(kind, 0) + 1
                end = stop
            text = "".join((*pieces, text[end:]))
        return Masked(text=text, counts=counts, spans=tuple(spans))

    def find(self, text: str) -> list[Found]:
        """Where personal data stands, in order and disjoint."""
        view = plain(text)
        found: list[Found] = []
        for items in (find_emails(view), find_ipv6(view)):
            view = _without(view, new := list(items))
            found += new
        view = _without(view, new := list(_find_lettered(view)))
        found += new
        for run in _RUN.finditer(view):
            start, end = run.span()
            telling = _TELLING.search(view, start, end) or is_announced(view, start)
            if telling or self.regions is not None:
                found += self._in_run(view, start, end)
        found.sort()
        return found

    def _in_run(self, view: str, start: int, end: int) -> list[Found]:
        if not _SEVEN.match(view, start, end):
            return list(find_ipv4(view, start, end)) if view.count(".", start, end) >= 3 else []
        words = words_before(view, start)
        found: list[Found] = []
        # An identity number may begin and end in letters beside the run.
        before = start - 2
        taken = bytearray(end + _BESIDE - before)
        for items in (
            find_ipv4(view, start, end),
            find_cards(view, start, end),
            find_identities(view, start, end, words),
            self._phones.find(view, start, end, words),
        ):
            for item in items:
                place = slice(item.start - before, item.end - before)
                if 1 not in taken[place] and not _GOES_ON.match(view, item.end):
                    taken[place] = b"\1" * (item.end - item.start)
                    found.append(item)
        return found


def _find_lettered(view: str) -> Iterable[Found]:
    end = 0
    for junction in _JUNCTION.finditer(view):
        digit = junction.start()
        word = _WORD.search(view, max(end, digit - 8), digit) if digit >= end else None
        if word is None:
            continue
        start, letters = word.start(), len(word[0].rstrip(" -"))
        item = match_iban(view, start, digit) if letters == 2 else None
        if item is None:
            spaced = letters < len(word[0])
            item = match_nino(view, start) if spaced else match_lettered(view, start, letters)
        if item is not None:
            yield item
            end = item.end


def _without(view: str, found: list[Found]) -> str:
    if not found:
        return view
    pieces: list[str] = []
    end = 0
    for start, stop, _ in found:
        pieces += (view[end:start], _GONE * (stop - start))
        end = stop
    return "".join((*pieces, view[end:]))


@lru_cache(maxsize=16)
def _of(regions: tuple[str, ...] | None) -> Masking:
    return Masking(regions)


def mask(text: str) -> Masked:
    """Replace personal data by placeholders, with the default regions."""
    return _of(None).mask(text)
