"""Find telephone numbers: international ones everywhere, national ones by the plans of regions.

In: the view of a text, and the regions whose national numbers count.  Out: where numbers stand.

* `+49 (0)30 ...`, `0049 30 ...`, `011 49 30 ...`: decided by the plan of the country.
* With the zero of long-distance calls in front (`030 1234567`): by the plans of the regions.
* Without such a zero, a number looks like a sum of money or a part number.  It is taken where its
  groups are those of telephone numbers and of nothing else (`(212) 555-0100`, `612 34 56 78`),
  where a word announces it (`Tel.`, `call me on`), or where the configuration names its region.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lmcore.data.text.personal.cues import names_another, phone_cue
from lmcore.data.text.personal.groups import (
    GROUPS,
    MAX_DIGITS,
    digits_of,
    ends_of,
    is_date,
    is_like_a_number,
    is_measured,
    is_parted,
    whole_ends,
    without_bracket,
)
from lmcore.data.text.personal.plans import (
    DEFAULT_REGIONS,
    mobile,
    national,
    of_country,
)
from lmcore.data.text.personal.spans import Found

_SEPARATOR = r"(?: ?[()./-]{1,2} ?[(]?| \(?)"
_EDGE = r"(?<![0-9A-Za-z_])"
_INTERNATIONAL = re.compile(
    rf"(?:\+[ (]{{0,2}}|{_EDGE}(?<![0-9][.,/-])(?:00|011)(?:[ -]|(?=[1-9])))"
    rf"(?P<number>[1-9][0-9]*\)?(?:{_SEPARATOR}[0-9]+){{0,8}})"
)
_ZERO = re.compile(
    rf"(?<!\+){_EDGE}(?<![0-9][.,/-])(?P<number>\(?0[0-9]*(?:{_SEPARATOR}[0-9]+){{0,7}})"
)
#: Shapes of national numbers without a zero in front, and the regions that write them.
_SHAPES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"[2-7][0-9]{2} [0-9]{3} [0-9]{4}", ("US", "CA", "IT", "GR", "CO", "MX")),
    (r"3[0-9]{2}[ /-][0-9]{7}", ("IT",)),
    (r"[6-9][0-9]{2}(?: [0-9]{2}){3}", ("ES",)),
    (r"[89][0-9] [0-9]{3}(?: [0-9]{2}){2}", ("ES",)),
    (r"[1-8][0-9] [0-9]{3}(?: [0-9]{2}){2}", ("PL",)),
    # An area in brackets, which is no year.
    (r"\((?!19|20)[1-9][0-9]{1,3}\) ?[0-9]{3,5}[ -]?[0-9]{3,4}", DEFAULT_REGIONS),
    (r"[1-9][0-9] 9[0-9]{4}-[0-9]{4}", ("BR",)),
    (r"1[3-9][0-9](?P<s>[ -])[0-9]{4}(?P=s)[0-9]{4}", ("CN",)),
    (r"1[3-9][0-9]{9}", ("CN",)),
    (r"[6-9][0-9]{4}[ -][0-9]{5}", ("IN",)),
    (r"8[ -]?\(?[3-9][0-9]{2}\)?[ -]?[0-9]{3}(?:[ -]?[0-9]{2}){2}", ("RU",)),
)
_SHAPED = re.compile(
    rf"{_EDGE}(?<![0-9][ .,/-])(?:"
    + "|".join(f"(?P<r{i}>{shape})" for i, (shape, _) in enumerate(_SHAPES))
    + r")(?![0-9A-Za-z_]|[ .,/-][0-9])"
)
# (212) 555-0100, 212-555-0100, 212.555.0100, each also after 1.
_NANP = re.compile(
    r"(?<![0-9A-Za-z_.,$+-])(?:1[ .-]?)?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[.-])"
    r"[0-9]{3}[.-][0-9]{4}(?![0-9A-Za-z_]|[.,-][0-9])"
)
_ANNOUNCED = re.compile(r"\(?[0-9](?:[ ()./-]{0,3}[0-9]){5,16}")
# Of regions that the configuration names, in groups of any size.
_NAMED = re.compile(rf"{_EDGE}(?<![0-9][ .,/-])[1-9][0-9]{{1,4}}(?:[ -][0-9]{{2,5}}){{1,4}}")


class PhoneFinder:
    """Telephone numbers of some regions.

    Args:
        regions: ISO 3166 codes; None takes `DEFAULT_REGIONS`, with the caution above.
    """

    def __init__(self, regions: tuple[str, ...] | None = None) -> None:
        self.regions = regions or DEFAULT_REGIONS
        self._named = regions is not None

    def find(self, view: str, start: int, end: int, words: str) -> Iterator[Found]:
        """Every number between two positions, the last of which ends a run of numbers.

        Args:
            view: Of the text.
            start: First character of the run.
            end: Its end.
            words: In front of it (`cues.words_before`).
        """
        found: list[tuple[int, int]] = []
        if (announced := self._announced(view, start, end, words)) is not None:
            found.append(announced)
        found += self._international(view, start, end)
        if not names_another(words):
            found += self._with_zero(view, start, end)
            found += ((m.start(), m.end()) for m in _NANP.finditer(view, start, end))
            found += self._shaped(view, start, end)
            if self._named:
                found += self._of_named(view, start, end)
        last = 0
        for first, stop in sorted(found, key=lambda item: (item[0], -item[1])):
            if first >= last:
                yield Found(first, stop, "PHONE")
                last = stop

    def _announced(self, view: str, start: int, end: int, words: str) -> tuple[int, int] | None:
        cue = phone_cue(words) if words else None
        number = _ANNOUNCED.match(view, start, end) if cue else None
        if number is None:
            return None
        known = national(self.regions)
        ends = whole_ends(view, ends_of(view, start, number.end()))
        for stop, digits in ends:
            if known.fullmatch(digits) and (cue == "noun" or _likely(view, start, stop)):
                return without_bracket(view, start, stop), stop
        # A noun says what it is, whatever its groups.
        return (
            (without_bracket(view, start, ends[0][0]), ends[0][0])
            if cue == "noun" and ends
            else None
        )

    def _international(self, view: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        position = start
        while match := _INTERNATIONAL.search(view, position, end):
            sure = match[0][0] == "+" or match[0].startswith(("00 ", "00-"))
            stop = _international_end(view, match.start("number"), match.end(), sure=sure)
            if stop:
                # (+49) 30 1234567
                first = match.start()
                first -= first > start and view[first - 1] == "("
                yield without_bracket(view, first, stop), stop
            position = stop or match.start("number") + 1

    def _with_zero(self, view: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        position = start
        while match := _ZERO.search(view, position, end):
            first = match.start("number")
            stop = self._zero_end(view, first, match.end())
            if stop:
                yield without_bracket(view, first, stop), stop
                position = stop
            else:
                group = GROUPS.search(view, first, end)
                position = group.end() if group else match.end()

    def _zero_end(self, view: str, first: int, end: int) -> int:
        if is_date(view, first):
            return 0
        known = national(self.regions)
        ends = ends_of(view, first, end)
        for place in range(len(ends) - 1, -1, -1):
            stop, digits = ends[place]
            if place + 1 < len(ends) and not is_parted(view, stop, ends[place + 1][0]):
                continue
            if 9 <= len(digits) <= MAX_DIGITS and known.fullmatch(digits):
                if is_measured(view, stop):
                    return 0
                if place == 0:
                    # Without any group, only the range of mobile numbers is telling.
                    return stop if mobile(self.regions).fullmatch(digits) else 0
                if is_like_a_number(view[first:stop]):
                    return stop
        return 0

    def _shaped(self, view: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        for match in _SHAPED.finditer(view, start, end):
            if is_measured(view, match.end()):
                continue
            number = next(i for i in range(len(_SHAPES)) if match[f"r{i}"] is not None)
            regions = tuple(r for r in _SHAPES[number][1] if r in self.regions)
            digits = digits_of(match[0])
            if regions and national(regions).fullmatch(digits):
                yield match.start(), match.end()

    def _of_named(self, view: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        for match in _NAMED.finditer(view, start, end):
            known = national(self.regions)
            if 7 <= len(digits := digits_of(match[0])) <= MAX_DIGITS and known.fullmatch(digits):
                yield match.start(), match.end()


def _international_end(view: str, start: int, end: int, *, sure: bool) -> int:
    """Where the number ends whose country code begins at `start`; 0 where it is none.

    Args:
        view: Of the text.
        start: First digit of the country code.
        end: Of all that could belong to it.
        sure: Behind a `+`, the number of digits is enough.
    """
    possible = 0
    for stop, digits in reversed(ends_of(view, start, end, skip_zero=True)):
        if not 7 <= len(digits) <= MAX_DIGITS:
            continue
        for size in (1, 2, 3):
            plan = of_country(int(digits[:size]))
            if plan is None:
                continue
            pattern, lengths = plan
            rest = digits[size:]
            # The zero of calls inside the country should not be there, and often is.
            if pattern.fullmatch(rest) or (rest[0] == "0" and pattern.fullmatch(rest[1:])):
                return stop
            if sure and not possible and rest[0] != "0" and len(rest) in lengths:
                possible = stop
            break
    return possible


def _likely(view: str, start: int, stop: int) -> bool:
    """Whether what a verb announces is a number that people call, and no amount or date."""
    if is_date(view, start) or is_measured(view, stop) or view[start - 1 : start] == "-":
        return False
    text = view[start:stop]
    sizes = [len(group) for group in GROUPS.findall(text)]
    if sizes.count(1) > 1 or (len(sizes) > 5 and set(sizes) == {2}):
        return False
    return len(sizes) != 2 or "." not in text
