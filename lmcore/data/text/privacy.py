"""Mask personal data by pattern and checksum, and count what was masked.

In: cleaned text.  Out: the text with `<EMAIL>`, `<IBAN>`, `<CARD>`, `<SSN>`,
`<IP>` and `<PHONE>` in place of what was found.  Types that carry a checksum
(payment cards by Luhn, IBAN by mod 97) or a registry of valid ranges are decided
by it, so ordinary numbers, years and amounts of money stay as they are.  This is
pattern masking: addresses are not found, and names only by `lmcore.data.text.person_names`.

`SpanHashes` remembers what was found as salted hashes, so that text that a model writes can
be asked whether it gives away something personal that was in the data.

Every pattern is linear on hostile text: quantifiers are bounded, and each starts
with a character class so that the scan skips to candidates.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Span:
    """Personal data as it stood in a text."""

    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Masked:
    """A text without the personal data that was found.

    Attributes:
        text: The text with placeholders.
        counts: Number of replacements by type.
        spans: What was replaced; not to be stored.
    """

    text: str
    counts: dict[str, int]
    spans: tuple[Span, ...] = field(default=(), repr=False)


_LOCAL = re.compile(r"[\w.+%'-]{1,64}\Z")
_DOMAIN = re.compile(r"(?:\w[\w-]{0,62}\.){1,8}[^\W\d_]{2,24}(?![\w-])")

_CARD = re.compile(
    r"[2-6](?<!\d.)(?<!\d[.,-].)(?:[0-9]{12,18}"
    r"|[0-9]{3}(?P<s>[ -])[0-9]{4}(?P=s)[0-9]{4}(?P=s)[0-9]{4}(?:(?P=s)[0-9]{3})?"
    r"|[0-9]{3}(?P<t>[ -])[0-9]{6}(?P=t)[0-9]{4,5})(?!\d)"
)
# Lengths and prefixes of the networks (ISO/IEC 7812 issuer ranges): Visa, Mastercard, American
# Express, Diners, JCB, Discover, UnionPay and Maestro.
_NETWORK = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5\d{15}|2[2-7]\d{14}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}|6\d{15,18}"
)
# Areas 000, 666 and 9xx, group 00 and serial 0000 were never issued (SSA).
_SSN = re.compile(
    r"[0-9](?<![\d-].)[0-9]{2}(?<!000|666)(?<!9..)-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?!\d|-\d)"
)
_IP = re.compile(r"[0-9](?<![\d.].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?!\d|\.\d)")
# (212) 555-0100, 212-555-0100, 212.555.0100, each also after 1 or +1.
_NANP = re.compile(
    r"(?<![\w.,$+-])(?:\+?1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])"
    r"[0-9]{3}[.-][0-9]{4}(?!\d|[.,-]\d)"
)
_INTERNATIONAL = re.compile(
    r"\+(?<![\w+].)[1-9][0-9]{0,2}"
    r"(?:[ .-]?(?:\([0-9]{2,4}\)|[0-9]{2,4})){2,5}(?!\d|[.,]\d)"
)
# Any other grouping is too much like a table of numbers, unless the text says what it is.
_LABELLED = re.compile(
    r"(?P<label>\b(?:telephone|phone|fax|mobile|cell|tel)"
    r"(?: ?(?:number|no\.?|nr\.?|#)(?: is|:)?|[:.#]{1,2}) {0,2})"
    r"(?P<number>\(?[0-9](?:[ ().-]{0,2}[0-9]){6,14})(?!\d)",
    re.IGNORECASE,
)
_IBAN_START = re.compile(r"[A-Z](?<!\w.)[A-Z][0-9]{2}")
_IBAN_BODY = re.compile(r"(?:[ -]?[A-Z0-9]){11,30}")
# Length by country, from the SWIFT IBAN registry (ISO 13616).
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL SD FK",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN",
        21: "CH CR HR LI LV",
        22: "BG BH DE GB GE IE ME RS VA",
        23: "AE GI IL IQ TL OM SO",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}


def luhn_valid(digits: str) -> bool:
    """Whether a digit string passes the Luhn check (ISO/IEC 7812-1, annex B)."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def iban_valid(iban: str) -> bool:
    """Whether a compact IBAN has its country's length and a remainder of 1 modulo 97."""
    if _IBAN_LENGTHS.get(iban[:2]) != len(iban):
        return False
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def _mask_emails(text: str) -> Masked:
    pieces: list[str] = []
    spans: list[Span] = []
    end = 0
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(end, at - 64), at) if at > end else None
        domain = _DOMAIN.match(text, at + 1) if local else None
        if local and domain:
            # Punctuation in front belongs to the sentence, not to the address.
            start = local.start() + len(local[0]) - len(local[0].lstrip(".-%+'"))
            if start < at:
                pieces += (text[end:start], "<EMAIL>")
                end = domain.end()
                spans.append(Span(kind="EMAIL", text=text[start:end]))
        at = text.find("@", at + 1)
    return _masked("EMAIL", "".join((*pieces, text[end:])), spans)


def _masked(kind: str, text: str, spans: list[Span]) -> Masked:
    return Masked(text=text, counts={kind: len(spans)} if spans else {}, spans=tuple(spans))


def _digits(text: str) -> str:
    return "".join(c for c in text if c in "0123456789")


def _card(match: re.Match[str]) -> str | None:
    digits = _digits(match[0])
    return "<CARD>" if _NETWORK.fullmatch(digits) and luhn_valid(digits) else None


def _ip(match: re.Match[str]) -> str | None:
    return "<IP>" if all(int(part) <= 255 for part in match[0].split(".")) else None


def _international(match: re.Match[str]) -> str | None:
    compact = match[0][1:].isdigit()
    return "<PHONE>" if (10 if compact else 8) <= len(_digits(match[0])) <= 15 else None


def _labelled(match: re.Match[str]) -> str | None:
    return match["label"] + "<PHONE>"


def _mask_ibans(text: str) -> Masked:
    pieces: list[str] = []
    spans: list[Span] = []
    end = 0
    for match in _IBAN_START.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2], 0)
        body = _IBAN_BODY.match(text, match.end()) if length and match.start() >= end else None
        if body is None:
            continue
        # The body may run on into capitals that follow: only the country's length is taken.
        compact, stop = match[0], match.end()
        while len(compact) < length and stop < body.end():
            compact += text[stop] if text[stop].isalnum() else ""
            stop += 1
        if iban_valid(compact) and not text[stop : stop + 1].isalnum():
            pieces += (text[end : match.start()], "<IBAN>")
            end = stop
            spans.append(Span(kind="IBAN", text=text[match.start() : stop]))
    return _masked("IBAN", "".join((*pieces, text[end:])), spans)


_Decide = Callable[[re.Match[str]], str | None]
_RULES: tuple[tuple[str, re.Pattern[str], _Decide], ...] = (
    ("CARD", _CARD, _card),
    ("SSN", _SSN, lambda match: "<SSN>"),
    ("IP", _IP, _ip),
    ("PHONE", _NANP, lambda match: "<PHONE>"),
    ("PHONE", _INTERNATIONAL, _international),
    ("PHONE", _LABELLED, _labelled),
)
_SEVEN_DIGITS = re.compile(r"[0-9](?:[ ().-]{0,2}[0-9]){6}")


def mask(text: str) -> Masked:
    """Replace e-mail addresses, IBANs, payment cards, SSNs, IPv4 addresses and phone numbers.

    Args:
        text: Cleaned text.

    Returns:
        The masked text, and the number of replacements by type (types without any are absent).
    """
    counts: dict[str, int] = {}
    spans: list[Span] = []
    for step in (_mask_emails, _mask_ibans):
        masked = step(text)
        text, counts = masked.text, {**counts, **masked.counts}
        spans += masked.spans
    for kind, pattern, decide in _RULES:
        if kind == "PHONE" and not _SEVEN_DIGITS.search(text):
            continue

        def replace(match: re.Match[str], kind: str = kind, decide: _Decide = decide) -> str:
            placeholder = decide(match)
            if placeholder is None:
                return match[0]
            counts[kind] = counts.get(kind, 0) + 1
            label = match["label"] if "label" in match.re.groupindex else ""
            spans.append(Span(kind=kind, text=match[0][len(label) :]))
            return placeholder

        text = pattern.sub(replace, text)
    return Masked(text=text, counts=counts, spans=tuple(spans))


def normal_span(span: Span) -> str:
    """One spelling for each number or address, however it was written."""
    if span.kind in ("EMAIL", "NAME"):
        return " ".join(span.text.casefold().split())
    if span.kind == "IP":
        return span.text
    compact = "".join(c for c in span.text.upper() if c.isalnum())
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
