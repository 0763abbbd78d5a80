"""Licences: SPDX expressions checked, and the policy that says which may be trained on.

In: a source's licence expression and the policy section.  Out: a normalised
expression, and whether it is allowed.  `unknown` is a state of its own and never
passes for a licence.  A licence that is denied (or is not on a list of those that are
allowed) stops an expression only where it cannot be avoided: `A OR B` is usable as long as
one of the two is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from license_expression import ExpressionError, get_spdx_licensing

from lmcore.data.config import PolicyConfig
from lmcore.errors import ConfigError

UNKNOWN = "unknown"
# SPDX 2.3, annex D: licences that are not on the list.  The library knows only listed ones.
_REFERENCE = re.compile(
    r"(?<![\w.-])(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+(?![\w.-])"
)


@cache
def _licensing() -> Any:
    return get_spdx_licensing()


def normal_license(expression: str, *, key: str = "license") -> str:
    """Check a licence expression and spell it the one way SPDX does.

    Args:
        expression: SPDX expression, `LicenseRef-...`, or `unknown`.
        key: Configuration key, for the message.

    Raises:
        ConfigError: If the expression is malformed or names a licence that SPDX does not list.
    """
    expression = expression.strip()
    if expression.lower() in ("", UNKNOWN):
        return UNKNOWN
    if _REFERENCE.fullmatch(expression):
        return expression
    references = sorted(set(_REFERENCE.findall(expression)))
    parsed = _parse(_REFERENCE.sub("MIT", expression))
    if parsed is None:
        raise ConfigError(
            f"{key}: {expression!r} is not an SPDX licence expression; write one such as CC0-1.0"
            " or 'MIT OR Apache-2.0' (https://spdx.org/licenses), LicenseRef-NAME for one that is"
            " not listed, or unknown"
        )
    return expression if references else str(parsed.render())


def _parse(expression: str) -> Any:
    licensing = _licensing()
    try:
        info = licensing.validate(expression)
        return None if info.errors else licensing.parse(info.normalized_expression)
    except (ExpressionError, AttributeError, TypeError):
        return None


def allowed(expression: str, *, policy: PolicyConfig) -> bool:
    """Whether a policy lets text under this (normalised) expression be trained on."""
    if expression == UNKNOWN:
        return policy.unknown_license == "allow"
    rules = _Rules(
        denied=frozenset(_listed(policy.deny, key="policy.deny")),
        allowed=None if policy.allow is None else frozenset(_listed(policy.allow, key=_ALLOW)),
    )
    if _REFERENCE.search(expression):
        # The library cannot parse references, so every name in the expression counts.
        names = set(re.findall(r"[\w.:+-]+", expression.lower())) - {"and", "or", "with"}
        return all(rules.permit(name) for name in names)
    return _satisfiable(_parse(expression), rules)


_ALLOW = "policy.allow"


def _listed(names: Iterable[str], *, key: str) -> Iterable[str]:
    return (normal_license(name, key=key).lower() for name in names)


@dataclass(frozen=True, kw_only=True)
class _Rules:
    denied: frozenset[str]
    allowed: frozenset[str] | None

    def permit(self, name: str) -> bool:
        return name not in self.denied and (self.allowed is None or name in self.allowed)


def _satisfiable(node: Any, rules: _Rules) -> bool:
    name = node.render().lower()
    if name in rules.denied:
        return False
    operator = type(node).__name__
    if operator in ("AND", "OR"):
        answers = [_satisfiable(part, rules) for part in node.args]
        return all(answers) if operator == "AND" else any(answers)
    if operator == "LicenseWithExceptionSymbol":
        # An exception only adds permissions, so to allow or to deny the licence itself is enough.
        licence = node.license_symbol.render().lower()
        return licence not in rules.denied and (rules.permit(name) or rules.permit(licence))
    return rules.permit(name)


def blocked_origin(origin: str, *, policy: PolicyConfig) -> bool:
    """Whether a source's origin fits a pattern of the policy, whatever its case."""
    folded = origin.casefold()
    return any(fnmatchcase(folded, pattern.casefold()) for pattern in policy.deny_origins)


def blocked_licenses(expressions: Iterable[str], *, policy: PolicyConfig) -> list[str]:
    """The expressions that the policy does not allow, sorted."""
    return sorted({e for e in expressions if not allowed(e, policy=policy)})
