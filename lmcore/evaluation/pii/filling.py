"""Fill the templates of forms with digits until the number is a valid one of its kind.

In: a template and a generator of random numbers.  Out: a made-up number that passes the check of
its kind: the numbering plan of a region, or the check digits of an identity number.
"""

from __future__ import annotations

import importlib
import random
import re
from collections.abc import Callable

_TRIES = 10_000
_MARKS = re.compile("[#¤¦ª@]")
_ALPHABETS = {
    **{"#": "0123456789", "¤": "123456789", "¦": "0123456789abcdef"},
    **{"ª": "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "@": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
}
_SNILS_WEIGHTS = range(9, 0, -1)


def fill_pattern(template: str, rng: random.Random, *, marks: str = "#¤¦ª") -> str:
    """Replace each mark by a digit or letter of its kind."""
    return _MARKS.sub(lambda m: rng.choice(_ALPHABETS[m[0]]) if m[0] in marks else m[0], template)


def fill_phone(template: str, region: str, rng: random.Random) -> str:
    """A telephone number that the plan of its region knows, in this spelling."""
    import phonenumbers

    for _ in range(_TRIES):
        text = fill_pattern(template, rng)
        # The zero in brackets is for those who call from inside the country.
        number = phonenumbers.parse(text.replace("(0)", ""), region)
        if phonenumbers.is_valid_number(number):
            return text
    raise AssertionError(f"{region}: no valid number is written {template}")


def fill_identity(template: str, rule: str, rng: random.Random) -> str:
    """An identity number whose check digits are right.

    Args:
        template: How it is written; `YMD`, `DMY` and `CYMD` stand for a date of birth.
        rule: Module of `stdnum`, or the name of a number that it does not know.
        rng: Where digits come from.
    """
    valid = _OWN[rule] if rule in _OWN else importlib.import_module(f"stdnum.{rule}").is_valid
    for _ in range(_TRIES):
        text = fill_pattern(_dated(template, rng), rng, marks="#@")
        # Not every check knows the dots that people put.
        if valid(text) or valid(text.replace(".", "")):
            return text
    raise AssertionError(f"{rule}: no valid number is written {template}")


def _dated(template: str, rng: random.Random) -> str:
    year, month, day = rng.randrange(1950, 1999), rng.randrange(1, 13), rng.randrange(1, 29)
    return (
        template.replace("CYMD", f"{year}{month:02d}{day:02d}")
        .replace("YMD", f"{year % 100:02d}{month:02d}{day:02d}")
        .replace("DMY", f"{day:02d}{month:02d}{year % 100:02d}")
    )


def with_luhn(body: str) -> str:
    """A string of digits with its Luhn check digit behind it (ISO/IEC 7812-1, annex B)."""
    total = 0
    for position, digit in enumerate(reversed(body)):
        value = int(digit) * (2 - position % 2)
        total += value - 9 * (value > 9)
    return body + str(-total % 10)


def with_iban_check(country: str, account: str) -> str:
    """A compact IBAN: country, two check digits, account (ISO 13616)."""
    digits = "".join(str(int(c, 36)) for c in f"{account}{country}00")
    return f"{country}{98 - int(digits) % 97:02d}{account}"


def _digits(text: str) -> list[int]:
    return [int(c) for c in text if c.isdigit()]


def _nino(text: str) -> bool:
    """The template's prefix is one that is issued, and there is no check digit."""
    return bool(text)


def _snils(text: str) -> bool:
    """Of Russia: the weighted sum of nine digits, modulo 101."""
    digits = _digits(text)
    total = sum(w * d for w, d in zip(_SNILS_WEIGHTS, digits, strict=False)) % 101 % 100
    return digits[0] > 0 and total == digits[9] * 10 + digits[10]


def _my_number(text: str) -> bool:
    """Of Japan: weights 2 to 7 from the right, modulo 11 (ordinance 85 of 2014, article 5)."""
    digits = _digits(text)
    total = sum(d * (n % 6 + 2) for n, d in enumerate(reversed(digits[:11]))) % 11
    return digits[11] == (0 if total <= 1 else 11 - total)


_OWN: dict[str, Callable[[str], bool]] = {"nino": _nino, "snils": _snils, "my_number": _my_number}
