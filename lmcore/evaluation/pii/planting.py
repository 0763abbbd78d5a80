"""Make up personal data in the spellings of many countries, and its near misses, in sentences.

In: a seed.  Out: sentences with a span in each, of which it is known what masking should do.  The
numbers are valid by the same public rules that real ones follow: numbering plans
(`phonenumbers`), check digits (ISO 7064, ISO/IEC 7812, `python-stdnum`).  The blanks and hyphens of
a third of the spans become those that word processors put: no-break, thin and figure spaces,
no-break hyphens, figure and en dashes; Chinese and Japanese text has full-width digits at times.
All names and numbers are made up.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from lmcore.evaluation.pii import forms
from lmcore.evaluation.pii.carriers import CARRIERS, IDENTITY_LABELS, LANGUAGES, PHONE_LABELS
from lmcore.evaluation.pii.filling import (
    fill_identity,
    fill_pattern,
    fill_phone,
    with_iban_check,
    with_luhn,
)
from lmcore.evaluation.pii.near_misses import NEAR_MISSES

#: With so many of a type a recall of 0.97 and a lower bound of 0.95 can be shown.
PLANTED = 300

_SPACES = "\u00a0\u202f\u2009\u2007"
_DASHES = "\u2013\u2011\u2012\u2010"
_FULL_WIDTH = {ord("0") + i: 0xFF10 + i for i in range(10)}
_TYPOGRAPHY = 1 / 3
_PLACEHOLDER = re.compile(r"<[A-Z]+>")


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Made-up personal data inside a sentence: `before + span + after`.

    Attributes:
        kind: Type of the placeholder, or the kind of a near miss.
        region: Country in whose manner it is written; empty where that does not matter.
        before: Text in front.
        span: What masking should remove; of a near miss, what it should leave.
        after: Text behind.
    """

    kind: str
    before: str
    span: str
    after: str
    region: str = ""

    @property
    def text(self) -> str:
        """The whole sentence."""
        return self.before + self.span + self.after

    def masked_in(self, result: str) -> bool:
        """Whether all of the span, and nothing else, became a placeholder."""
        if not (result.startswith(self.before) and result.endswith(self.after)):
            return False
        middle = result[len(self.before) : len(result) - len(self.after)]
        return _PLACEHOLDER.fullmatch(middle) is not None


#: Region, label, what stands directly in front, span, what stands directly behind.
_Spelling = tuple[str, str, str, str, str]
_Maker = Callable[[random.Random], Iterator[_Spelling]]


def plant(
    seed: int, *, count: int = PLANTED, regions: tuple[str, ...] | None = None
) -> list[Planted]:
    """Make up `count` spans of every type: each form in turn, so that none is left to chance.

    Args:
        seed: The same seed gives the same sentences.
        count: Of each type.
        regions: Whose national telephone numbers masking knows; None: all of the list.
    """
    rng = random.Random(f"planted personal data {seed}")
    makers: dict[str, _Maker] = {**_MAKERS, "PHONE": partial(_phones, regions=regions)}
    found = []
    for kind, make in sorted(makers.items()):
        for region, label, left, span, right in itertools.islice(make(rng), count):
            before, _, after = rng.choice(_carriers(region)).partition("{}")
            found.append(
                Planted(
                    kind=kind,
                    region=region,
                    before=before + label + left,
                    span=span,
                    after=right + after,
                )
            )
    return found


def plant_near_misses(seed: int, *, each: int = 4) -> list[Planted]:
    """Write every near miss `each` times, in sentences of several languages."""
    rng = random.Random(f"planted near misses {seed}")
    found = []
    for kind, templates in NEAR_MISSES.items():
        for template in templates:
            for _ in range(each):
                carrier = rng.choice(CARRIERS[rng.choice(("en", "en", "de", "fr", "zh", "ja"))])
                before, _, after = carrier.partition("{}")
                span = _typed(fill_pattern(template, rng), rng)
                found.append(Planted(kind=kind, before=before, span=span, after=after))
    return found


def spelt_out(item: Planted) -> Planted:
    """The same in words, as masking does not know it: for the gate's control."""
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    words = "".join(
        f" {names[int(c)]} " if c.isdecimal() else {"@": " at ", ".": " dot "}.get(c, c)
        for c in item.span
    )
    return replace(item, span=" ".join(words.split()))


def _carriers(region: str) -> tuple[str, ...]:
    return CARRIERS[LANGUAGES.get(region, "en")]


def _typed(text: str, rng: random.Random, region: str = "") -> str:
    """The same as a word processor or an input method would have set it."""
    if region in ("JP", "CN", "TW") and rng.random() < 0.15:
        text = text.translate(_FULL_WIDTH)
    if rng.random() < _TYPOGRAPHY:
        text = text.replace(" ", rng.choice(_SPACES)).replace("-", rng.choice(_DASHES))
    return text


def _turns(rng: random.Random, items: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    while True:
        rng.shuffle(items)
        yield from items


def _phones(rng: random.Random, *, regions: tuple[str, ...] | None) -> Iterator[_Spelling]:
    items = [
        (region, form)
        for region, found in forms.PHONES.items()
        for form in found
        if regions is None or region in regions or form.startswith("+")
    ]
    for region, form in _turns(rng, items):
        labels = PHONE_LABELS.get(LANGUAGES.get(region, "en"), PHONE_LABELS["en"])
        label = rng.choice(labels) if form.startswith("!") else ""
        span = fill_phone(form.removeprefix("!"), region, rng)
        yield region, label, "", _typed(span, rng, region), ""


def _identities(rng: random.Random) -> Iterator[_Spelling]:
    items = [(country, form) for country, (_, found) in forms.IDENTITIES.items() for form in found]
    for country, form in _turns(rng, items):
        label = rng.choice(IDENTITY_LABELS[country]) if form.startswith("!") else ""
        rule = forms.IDENTITIES[country][0]
        span = fill_identity(form.removeprefix("!"), rule, rng)
        yield country, label, "", _typed(span, rng, country), ""


def _emails(rng: random.Random) -> Iterator[_Spelling]:
    regions = ("", "", "", "DE", "FR", "CN", "JP", "KR", "TH", "RU")
    while True:
        left, right = rng.choice(forms.EMAIL_EDGES)
        # A name is drawn once in a long while: what a model makes up is in no list.
        name = rng.choice(forms.LOCAL_PARTS) + "".join(rng.choices("abcdefghijklmnop", k=3))
        address = f"{name}@{rng.choice(forms.DOMAINS)}"
        yield rng.choice(regions), "", left, address, right


def _accounts(rng: random.Random) -> Iterator[_Spelling]:
    while True:
        country, body = rng.choice(list(forms.ACCOUNTS.items()))
        compact = with_iban_check(country, fill_pattern(body.replace("@", "ª"), rng))
        sizes, separator = rng.choice(forms.ACCOUNT_GROUPS)
        span = separator.join(_groups(compact, sizes))
        span = span.lower() if rng.random() < 0.25 else span
        region = rng.choice((country, country, "CN", "JP"))
        yield region, rng.choice(forms.ACCOUNT_LABELS), "", _typed(span, rng), ""


def _cards(rng: random.Random) -> Iterator[_Spelling]:
    while True:
        start, length, sizes = rng.choice(forms.CARDS)
        number = with_luhn(fill_pattern(start.ljust(length - 1, "#"), rng))
        span = rng.choice(forms.CARD_SEPARATORS).join(_groups(number, sizes))
        yield rng.choice(("", "", "DE", "CN", "JP")), "", "", _typed(span, rng), ""


def _addresses(rng: random.Random) -> Iterator[_Spelling]:
    for before, form, after in itertools.cycle(forms.ADDRESSES):
        span = re.sub("h", lambda _: rng.choice("0123456789abcdef"), form)
        span = re.sub("n", lambda _: str(rng.randrange(1, 255)), span)
        # A group that begins with zeros would be written without them.
        span = re.sub(r"(?<![0-9a-f])0(?=[1-9a-f][0-9a-f]*:)", "1", span) if ":0" in span else span
        yield rng.choice(("", "", "DE", "CN", "JP")), "", before, span, after


def _social_security(rng: random.Random) -> Iterator[_Spelling]:
    for form in itertools.cycle(forms.SOCIAL_SECURITY):
        label = rng.choice(IDENTITY_LABELS["US"]) if form.startswith("!") else ""
        area = rng.choice([n for n in range(1, 900) if n != 666])
        digits = f"{area:03d}{rng.randrange(1, 100):02d}{rng.randrange(1, 10_000):04d}"
        following = iter(digits)
        span = re.sub("#", lambda _, d=following: next(d), form.removeprefix("!"))  # type: ignore[misc]
        yield "US", label, "", _typed(span, rng), ""


_MAKERS: dict[str, _Maker] = {
    "CARD": _cards,
    "EMAIL": _emails,
    "IBAN": _accounts,
    "ID": _identities,
    "IP": _addresses,
    "SSN": _social_security,
}


def _groups(text: str, sizes: tuple[int, ...]) -> list[str]:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(text[start : start + size])
        start += size
    return [piece for piece in pieces if piece]
