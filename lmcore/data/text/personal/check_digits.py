"""Check digits of identity numbers that `python-stdnum` does not know.

In: a number in capitals, with or without separators.  Out: whether it is a possible one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"  # in the order of Taiwan's codes, which begin at 10


def _digits(text: str) -> list[int]:
    return [int(c) for c in text if c.isdigit()]


def snils(text: str) -> bool:
    """Insurance number of Russia: nine digits with weights 9 to 1, modulo 101."""
    digits = _digits(text)
    if len(digits) != 11 or not any(digits):
        return False
    total = sum(w * d for w, d in zip(range(9, 0, -1), digits[:9], strict=True)) % 101 % 100
    return total == digits[9] * 10 + digits[10]


def my_number(text: str) -> bool:
    """Individual number of Japan: weights 2 to 7 from the right, modulo 11."""
    digits = _digits(text)
    if len(digits) != 12:
        return False
    total = sum(d * (n % 6 + 2) for n, d in enumerate(reversed(digits[:11]))) % 11
    return digits[11] == (0 if total <= 1 else 11 - total)


def resident_number(text: str) -> bool:
    """Resident number of Korea: a date and a digit for century and sex.

    Since October 2020 the rest is drawn by chance, so there is no check digit to ask for.
    """
    digits = _digits(text)
    return len(digits) == 13 and 1 <= digits[2] * 10 + digits[3] <= 12 and 1 <= _day(digits) <= 31


def chinese(text: str) -> bool:
    """Resident number of China (GB 11643): a date, and ISO 7064 modulo 11-2 over all digits."""
    digits = _digits(text[:17])
    if len(digits) != 17 or not 1 <= digits[10] * 10 + digits[11] <= 12:
        return False
    last = 10 if text[17:] == "X" else int(text[17:])
    total = sum(d * pow(2, 17 - place, 11) for place, d in enumerate(digits)) + last
    return total % 11 == 1 and 1 <= digits[12] * 10 + digits[13] <= 31 and digits[6] in (1, 2)


def _day(digits: list[int]) -> int:
    return digits[4] * 10 + digits[5]


def national_insurance(text: str) -> bool:
    """National insurance number of the United Kingdom: its shape is all there is."""
    return bool(text)


def social_security(text: str) -> bool:
    """Social security number of the United States: what was never issued is none (SSA)."""
    digits = re.sub(r"\D", "", text)
    return (
        len(digits) == 9
        and digits[:3] not in ("000", "666")
        and digits[0] != "9"
        and digits[3:5] != "00"
        and digits[5:] != "0000"
    )


def taiwan(text: str) -> bool:
    """Identity card of Taiwan: a letter as two digits, weights 1, 9 to 1, 1, modulo 10."""
    code = _LETTERS.find(text[:1]) + 10
    digits = _digits(text)
    if code < 10 or len(digits) != 9:
        return False
    values = [code // 10, code % 10, *digits]
    weights = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)
    return sum(w * v for w, v in zip(weights, values, strict=True)) % 10 == 0


def hong_kong(text: str) -> bool:
    """Identity card of Hong Kong: weights 9 to 1, a blank counts 36, modulo 11."""
    compact = re.sub(r"[^0-9A-Z]", "", text)
    values = [int(c, 36) for c in compact[:-1]]
    values = [36, *values] if len(values) == 7 else values
    last = 10 if compact[-1] == "A" else int(compact[-1], 36)
    weights = range(9, 1, -1)
    return len(values) == 8 and (
        (sum(w * v for w, v in zip(weights, values, strict=True)) + last) % 11 == 0
    )


def singapore(text: str) -> bool:
    """Registration card of Singapore: weights 2 7 6 5 4 3 2, and a letter by its series."""
    total = sum(w * d for w, d in zip((2, 7, 6, 5, 4, 3, 2), _digits(text), strict=True))
    total += {"T": 4, "G": 4, "M": 3}.get(text[0], 0)
    series = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "XWUTRQPNJLK"}
    return series.get(text[0], "XWUTRQPNMLK")[total % 11] == text[-1]


#: By the name that the finder knows them by.
OWN: Mapping[str, Callable[[str], bool]] = {
    "hkid": hong_kong,
    "my_number": my_number,
    "nino": national_insurance,
    "nric": singapore,
    "ric": chinese,
    "rrn": resident_number,
    "snils": snils,
    "ssn": social_security,
    "taiwan": taiwan,
}
