"""Gate `provenance`: may this text be used at all?

Statistic: bytes of training or evaluation text under a licence that the policy blocks.
PASS: none.  Exact, no interval.  Which licences are blocked was decided at ingest, by the
policy in force then; the summary of the document set says it.
Source: licences as SPDX expressions, https://spdx.org/licenses/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.gates.result import GateResult

NAME = "provenance"


def provenance(documents: Mapping[str, Any], *, required: bool) -> GateResult:
    """Judge the licences of a document set.

    Args:
        documents: Summary of the `DocumentSet`: `licenses` (bytes by expression) and
            `blocked_licenses`.
        required: Whether promotion needs this gate.

    Raises:
        EmptyEvaluationError: If the summary says nothing about licences.
    """
    if "blocked_licenses" not in documents or not documents.get("licenses"):
        raise EmptyEvaluationError("the document set does not say which licences it holds")
    sizes = {str(name): int(size) for name, size in documents["licenses"].items()}
    blocked = sorted(str(name) for name in documents["blocked_licenses"])
    num_bytes = sum(sizes.get(name, 0) for name in blocked)
    total = sum(sizes.values())
    if blocked:
        reason = (
            f"{num_bytes:,} of {total:,} bytes of text are under"
            f" {_listed(blocked)}, which the policy blocks; {_remedy(blocked)}."
        )
    else:
        reason = f"All {total:,} bytes of text are under {_listed(sorted(sizes))}: allowed."
    return GateResult(
        gate=NAME,
        required=required,
        outcome="FAIL" if blocked else "PASS",
        value=float(num_bytes),
        limit=0.0,
        unit="bytes",
        reason=reason,
        evidence={"licenses": sizes, "blocked_licenses": blocked},
    )


def _listed(names: list[str]) -> str:
    return ", ".join("an unknown licence" if name == "unknown" else name for name in names)


def _remedy(blocked: list[str]) -> str:
    ways = []
    if "unknown" in blocked:
        ways.append(
            "state the source's license, or set policy.unknown_license: allow if you have the right"
            " to use it"
        )
    if any(name != "unknown" for name in blocked):
        ways.append("remove those sources, or take the licence off policy.deny")
    return "; ".join(ways)
