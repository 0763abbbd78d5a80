"""Licences: SPDX expressions checked, and the policy that says which may be trained on.

In: a source's licence expression and the policy section.  Out: a normalised
expression, and whether it is allowed.  `unknown` is a state of its own and never
passes for a licence.  A licence that is denied (or is not on a list of those that are
allowed) stops an expression only where it cannot be avoided: `A OR B` is usable as long as
one of the two is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from lmcore.data.config import PolicyConfig
from lmcore.data.text.spdx import (
    Compound,
    Expression,
    ExpressionError,
    License,
    own_version,
    parse_expression,
)
from lmcore.errors import ConfigError

UNKNOWN = "unknown"
_SHOWN = 200


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
    try:
        return str(parse_expression(expression))
    except ExpressionError as error:
        shown = expression if len(expression) <= _SHOWN else f"{expression[:_SHOWN]}..."
        raise ConfigError(
            f"{key}: {shown!r} is not an SPDX licence expression ({error}); write one such as"
            " CC0-1.0 or 'MIT OR Apache-2.0' (https://spdx.org/licenses), LicenseRef-NAME for one"
            " that is not listed, or unknown"
        ) from error


def allowed(expression: str, *, policy: PolicyConfig) -> bool:
    """Whether a policy lets text under this (normalised) expression be trained on."""
    if expression == UNKNOWN:
        return policy.unknown_license == "allow"
    rules = _Rules(
        denied=frozenset(_listed(policy.deny, key="policy.deny")),
        allowed=None
        if policy.allow is None
        else frozenset(_listed(policy.allow, key="policy.allow")),
    )
    return _satisfiable(parse_expression(expression), rules)


def _listed(names: Iterable[str], *, key: str) -> Iterable[str]:
    return (normal_license(name, key=key).lower() for name in names)


@dataclass(frozen=True, kw_only=True)
class _Rules:
    denied: frozenset[str]
    allowed: frozenset[str] | None

    def permit(self, licence: License) -> bool:
        """Whether a licence may be used: nothing that it stands for is denied, and one is allowed.

        Text under `NAME+` may be used under NAME, so who allows NAME allows it.  Who denies NAME
        denies it too: which later versions there are, and whether they are wanted, nobody said.
        """
        names = {str(licence).lower()}
        # An exception only adds permissions, so to allow or to deny the licence itself is enough.
        names.add(licence.name.lower())
        if (own := own_version(licence.name)) is not None:
            names |= {str(License(name=own, exception=licence.exception)).lower(), own.lower()}
        return not names & self.denied and (self.allowed is None or bool(names & self.allowed))


def _satisfiable(node: Expression, rules: _Rules) -> bool:
    if str(node).lower() in rules.denied:
        return False
    if isinstance(node, Compound):
        answers = (_satisfiable(part, rules) for part in node.parts)
        return all(answers) if node.operator == "AND" else any(answers)
    return rules.permit(node)


def blocked_origin(origin: str, *, policy: PolicyConfig) -> bool:
    """Whether a source's origin fits a pattern of the policy, whatever its case."""
    folded = origin.casefold()
    return any(fnmatchcase(folded, pattern.casefold()) for pattern in policy.deny_origins)


def blocked_licenses(expressions: Iterable[str], *, policy: PolicyConfig) -> list[str]:
    """The expressions that the policy does not allow, sorted."""
    return sorted({e for e in expressions if not allowed(e, policy=policy)})
