"""Find bank accounts (IBAN) and payment cards, which their check digits decide.

In: the view of a text.  Out: where they stand.  Letters may be small, groups may be separated by
blanks, hyphens or dots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lmcore.data.text.personal.spans import Found

_CARD = re.compile(
    r"[2-6](?<![0-9A-Za-z_].)(?<![0-9][.,-].)(?:[0-9]{12,18}"
    r"|[0-9]{3}(?P<s>[ .-])[0-9]{4}(?P=s)[0-9]{4}(?P=s)[0-9]{4}(?:(?P=s)[0-9]{3})?"
    r"|[0-9]{3}(?P<t>[ .-])[0-9]{6}(?P=t)[0-9]{4,5})(?![0-9])"
)
# Lengths and prefixes of the networks (ISO/IEC 7812 issuer ranges): Visa, Mastercard, American
# Express, Diners, JCB, Discover, UnionPay and Maestro.
_NETWORK = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5\d{15}|2[2-7]\d{14}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|35\d{14}|6\d{15,18}"
)
_IBAN_BODY = re.compile(r"(?:[ .-]?[A-Za-z0-9]){11,30}")
# Length by country, from the SWIFT IBAN registry (ISO 13616).
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FO GL NL SD FK",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
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


def find_cards(view: str, start: int, end: int) -> Iterator[Found]:
    """Every payment card between two positions, the last of which ends a run of numbers."""
    for match in _CARD.finditer(view, start, end):
        digits = "".join(c for c in match[0] if c.isdigit())
        if _NETWORK.fullmatch(digits) and luhn_valid(digits):
            yield Found(match.start(), match.end(), "CARD")


def match_iban(view: str, start: int, digits: int) -> Found | None:
    """The account whose country stands at `start` and whose check digits at `digits`, if any."""
    country = view[start : start + 2].upper()
    length = _IBAN_LENGTHS.get(country, 0)
    body = _IBAN_BODY.match(view, digits + 2) if length else None
    if body is None:
        return None
    # The body may run on into letters that follow: only the country's length is taken.
    compact, stop = country + view[digits : digits + 2], digits + 2
    while len(compact) < length and stop < body.end():
        compact += view[stop] if view[stop].isalnum() else ""
        stop += 1
    following = view[stop : stop + 1]
    beside = following.isascii() and following.isalnum()
    if beside or not _is_grouped(view[start:stop]):
        return None
    if iban_valid(compact.upper()) and _has_structure(compact.upper()):
        return Found(start, stop, "IBAN")
    return None


def _is_grouped(text: str) -> bool:
    """Whether its groups are those of a number, not words: `MD 194 crosses a creek`.

    In print they have four characters; a group of letters alone is then the code of a bank.
    """
    return all(len(group) <= 4 or not group.isalpha() for group in re.split("[ .-]", text))


def _has_structure(iban: str) -> bool:
    """Whether letters and digits stand where the country has them: `no 12 men ...` is none."""
    import stdnum.iban

    return bool(stdnum.iban.is_valid(iban, check_country=False))
