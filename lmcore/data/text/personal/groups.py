"""Groups of digits: where a number may end, and what its groups say that it is.

In: the view of a text and a place in it.  Out: the ends of groups, and whether they are those of a
telephone number, a date, an amount.
"""

from __future__ import annotations

import re

from lmcore.data.text.personal.scripts import SPACED

MAX_DIGITS = 15  # ITU-T E.164
GROUPS = re.compile(r"[0-9]+")
_LONGEST_AREA = 6  # with its zero, as in 039999 123
_STRONG = (" / ", " - ", "/ ", "- ")
_NEXT = re.compile(r"[ /-]*(?:\+|\(?0[1-9])")
# 31.12.2026, 2026-12-31, 20261231: no numbers that begin with an area.
_DATE = re.compile(
    r"[0-9]{1,2}([./-])[0-9]{1,2}\1(?:19|20)[0-9]{2}(?![0-9])|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2}(?![0-9])"
    r"|(?:19|20)[0-9]{2}(?P<s>[./-]?)(?:0[1-9]|1[0-2])(?P=s)(?:0[1-9]|[12][0-9]|3[01])"
)
_MEASURE = re.compile(
    r" ?(?:[€$£¥₽₹%‰°²³]|(?:kr|zł|kč|ft|francs?|euros?|eur|usd|gbp|chf|dollars?|pounds?|rubles?"
    r"|yen|yuan|won|k?m|km²|kg|people|persons|copies|units|stück|personnes|habitants|einwohner)"
    rf"(?![{SPACED}]))"
    r"|[,.:][0-9]|,-",
    re.IGNORECASE,
)


def ends_of(view: str, start: int, end: int, *, skip_zero: bool = False) -> list[tuple[int, str]]:
    """Where each group of digits ends, and all digits up to there."""
    found: list[tuple[int, str]] = []
    digits = ""
    for group in GROUPS.finditer(view, start, end):
        if len(digits) > MAX_DIGITS + 2:
            break
        bracketed = view[group.start() - 1 : group.end() + 1] == "(0)"
        if not (skip_zero and bracketed):
            digits += group[0]
        found.append((group.end(), digits))
    return found


def whole_ends(view: str, ends: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """The ends behind which nothing goes on that belongs to the number, the longest first."""
    return [
        (stop, digits)
        for (stop, digits), following in zip(ends, [*ends[1:], None], strict=True)
        if 7 <= len(digits) <= MAX_DIGITS
        and (following is None or is_parted(view, stop, following[0]))
    ][::-1]


def is_parted(view: str, stop: int, following: int) -> bool:
    """Whether another number may begin behind a group: ` / 0171 ...`."""
    between = view[stop:following]
    return between.startswith(_STRONG) or bool(_NEXT.match(between))


def is_date(view: str, start: int) -> bool:
    """Whether a date stands there, which numbers that begin with an area are not."""
    return bool(_DATE.match(view, start + (view[start] == "(")))


def is_measured(view: str, stop: int) -> bool:
    """Whether a unit, a currency, a fraction or minutes follow: then it is an amount or a time."""
    return bool(_MEASURE.match(view, stop))


def is_like_a_number(text: str) -> bool:
    """Whether the groups are those of a telephone number, and not of a book or a lottery."""
    sizes = [len(group) for group in GROUPS.findall(text)]
    if sizes[0] > _LONGEST_AREA or (sizes[0] == 1 and "(" not in text[1:3]):
        return False
    # A slash parts the area from the rest, and nothing else.
    if text.count("/") > ("/" in text[: sizes[0] + 5]):
        return False
    if len(sizes) > 3 and sizes.count(2) == len(sizes):
        return len(sizes) == 5
    return sizes.count(1) <= 1


def without_bracket(view: str, start: int, stop: int) -> int:
    """Where the number begins without a bracket that closes behind it."""
    number = view[start:stop]
    return start + (number[0] == "(" and number.count("(") > number.count(")"))


def digits_of(text: str) -> str:
    """All digits of a text."""
    return "".join(GROUPS.findall(text))
