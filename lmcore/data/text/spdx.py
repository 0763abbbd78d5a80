"""SPDX licence expressions: text in, a small tree of licences out.

The grammar is that of SPDX 2.3, annex D, and of SPDX 3.0, annex B: identifiers in any case, `+`,
`WITH`, `AND` before `OR`, parentheses, and references to licences that are not on the list.  The
list is SPDX 3.27 as the library license-expression carries it, deprecated identifiers included;
they are replaced by what SPDX names instead.  What the library leaves out stands here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

MAX_CHARACTERS = 2_000
MAX_DEPTH = 20

_TOKEN = re.compile(r"[()]|[^\s()]+")
_LICENSE_REFERENCE = re.compile(
    r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+", re.IGNORECASE
)
_EXCEPTION_REFERENCE = re.compile(
    r"(?:DocumentRef-[A-Za-z0-9.-]+:)?AdditionRef-[A-Za-z0-9.-]+", re.IGNORECASE
)
_OPERATORS = frozenset({"and", "or", "with"})
# Deprecated identifiers that are a licence and an exception in one.  What replaces them: the notes
# in github.com/spdx/license-list-XML (`obsoletedBy` of GPL-2.0-with-bison-exception; the others'
# notes ask for the same), and for eCos-2.0 "really GPL-2.0 or later with an exception".
_SPLIT = {
    "ecos-2.0": ("GPL-2.0-or-later", "eCos-exception-2.0"),
    "gpl-2.0-with-autoconf-exception": ("GPL-2.0-only", "Autoconf-exception-2.0"),
    "gpl-2.0-with-bison-exception": ("GPL-2.0-only", "Bison-exception-2.2"),
    "gpl-2.0-with-classpath-exception": ("GPL-2.0-only", "Classpath-exception-2.0"),
    "gpl-2.0-with-font-exception": ("GPL-2.0-only", "Font-exception-2.0"),
    "gpl-2.0-with-gcc-exception": ("GPL-2.0-only", "GCC-exception-2.0"),
    "gpl-3.0-with-autoconf-exception": ("GPL-3.0-only", "Autoconf-exception-3.0"),
    "gpl-3.0-with-gcc-exception": ("GPL-3.0-only", "GCC-exception-3.1"),
}
# A licence by the list, although its name ends like an exception's.
_NO_EXCEPTION = "MPL-2.0-no-copyleft-exception"


class ExpressionError(ValueError):
    """An expression is malformed, or names what SPDX does not list; the message says which."""


@dataclass(frozen=True, kw_only=True)
class License:
    """One licence of an expression.

    Attributes:
        name: As SPDX spells it, with `+` or `-or-later` where later versions may be chosen.
        exception: What is added by `WITH`.
    """

    name: str
    exception: str | None = None

    def __str__(self) -> str:
        return self.name if self.exception is None else f"{self.name} WITH {self.exception}"


@dataclass(frozen=True, kw_only=True)
class Compound:
    """Parts that all hold (`AND`), or of which one may be chosen (`OR`)."""

    operator: Literal["AND", "OR"]
    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        inner = (f"({part})" if isinstance(part, Compound) else str(part) for part in self.parts)
        return f" {self.operator} ".join(inner)


Expression = License | Compound


def parse_expression(text: str) -> Expression:
    """Parse a licence expression.

    Raises:
        ExpressionError: If it is malformed, too long, or names what SPDX does not list.
    """
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(f"it is longer than {MAX_CHARACTERS} characters")
    parser = _Parser(_TOKEN.findall(text))
    parsed = parser.either(0)
    if parser.ahead is not None:
        raise ExpressionError(f"AND, OR or WITH is missing before {parser.ahead[:60]!r}")
    return parsed


def own_version(name: str) -> str | None:
    """The licence that `NAME+` or `NAME-or-later` begins with; None for any other name."""
    if name.endswith("+"):
        return name[:-1]
    if name.endswith("-or-later"):
        return f"{name.removesuffix('-or-later')}-only"
    return None


class _Parser:
    """Recursive descent over the tokens, one token ahead."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens: Iterator[str] = iter(tokens)
        self.ahead: str | None = next(self._tokens, None)

    def either(self, depth: int) -> Expression:
        return self._chain("OR", depth)

    def _chain(self, operator: Literal["AND", "OR"], depth: int) -> Expression:
        parts = [self._operand(operator, depth)]
        while self.ahead is not None and self.ahead.upper() == operator:
            self._take()
            parts.append(self._operand(operator, depth))
        return parts[0] if len(parts) == 1 else Compound(operator=operator, parts=tuple(parts))

    def _operand(self, operator: str, depth: int) -> Expression:
        return self._chain("AND", depth) if operator == "OR" else self._one(depth)

    def _one(self, depth: int) -> Expression:
        if self.ahead != "(":
            return self._licence()
        if depth >= MAX_DEPTH:
            raise ExpressionError(f"its parentheses are nested more than {MAX_DEPTH} deep")
        self._take()
        inner = self.either(depth + 1)
        if self.ahead != ")":
            raise ExpressionError("a parenthesis is not closed")
        self._take()
        return inner

    def _licence(self) -> License:
        licence = _licence_named(self._name())
        if self.ahead is None or self.ahead.lower() != "with":
            return licence
        self._take()
        exception = self._name()
        if licence.exception is not None:
            raise ExpressionError(f"{licence} has its exception already")
        return License(name=licence.name, exception=_exception_named(exception))

    def _name(self) -> str:
        word = self._take()
        if word is None or word in "()" or word.lower() in _OPERATORS:
            found = "the end" if word is None else repr(word)
            raise ExpressionError(f"a licence is missing before {found}")
        return word

    def _take(self) -> str | None:
        taken, self.ahead = self.ahead, next(self._tokens, None)
        return taken


def _licence_named(name: str) -> License:
    if _LICENSE_REFERENCE.fullmatch(name):
        return License(name=name)
    licences, _ = _listed()
    plain = name.removesuffix("+")
    later = plain != name
    if split := _SPLIT.get(plain.lower()):
        return License(name=_or_later(split[0]) if later else split[0], exception=split[1])
    if found := licences.get(name.lower()):
        return License(name=found)
    if later and (found := licences.get(plain.lower())):
        return License(name=_or_later(found))
    raise ExpressionError(_unknown(name, licences, "licence"))


def _or_later(name: str) -> str:
    if name.endswith("-or-later"):
        return name
    return f"{name.removesuffix('-only')}-or-later" if name.endswith("-only") else f"{name}+"


def _exception_named(name: str) -> str:
    if _EXCEPTION_REFERENCE.fullmatch(name):
        return name
    _, exceptions = _listed()
    if found := exceptions.get(name.lower()):
        return found
    raise ExpressionError(_unknown(name, exceptions, "exception"))


def _unknown(name: str, known: dict[str, str], kind: str) -> str:
    near = difflib.get_close_matches(name.lower()[:60], known, n=1)
    hint = f"; did you mean {known[near[0]]}?" if near else ""
    return f"SPDX lists no {kind} {name[:60]!r}{hint}"


@cache
def _listed() -> tuple[dict[str, str], dict[str, str]]:
    """Licences and exceptions: every identifier in lower case, and the one that counts today."""
    from license_expression import get_license_index

    licences: dict[str, str] = {}
    exceptions: dict[str, str] = {}
    for entry in get_license_index():
        current = entry.get("spdx_license_key") or ""
        for name in (current, *entry.get("other_spdx_license_keys", ())):
            # What the library names in its own words is no name of SPDX's: the old one stays.
            spelled = name if current.startswith("LicenseRef-") else current
            if name and not name.startswith("LicenseRef-") and name.lower() not in _SPLIT:
                is_exception = entry.get("is_exception") and name != _NO_EXCEPTION
                (exceptions if is_exception else licences)[name.lower()] = spelled
    return licences, exceptions
