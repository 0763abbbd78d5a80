"""Gate `provenance`: may this text be used at all, and is it what it is said to be?

Statistics, all exact and without an interval: bytes of text under a licence or of an origin that
the policy blocks; removed documents (or near-copies of them) among those used, here or by the
model that the weights start from; links of the chain from sources to shards that do not fit; and
of a pretrained model that the weights are made from, its licence and origin by the same policy, and
whether its weights are those that its record and the registry name.  PASS: none of any.

Which licences of text are blocked was decided at ingest, by the policy in force then; the summary
of the document set says it.  That the files of a version are those of the registry is not asked
here, as there is no version yet: `Registry.register` and `Registry.open` refuse any other.
Source: licences as SPDX expressions, https://spdx.org/licenses/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmcore.counted import counted, named
from lmcore.data.text.licences import UNKNOWN
from lmcore.errors import EmptyEvaluationError
from lmcore.evaluation.gates.result import GateResult
from lmcore.evaluation.inputs import BaseOwnership
from lmcore.evaluation.ownership import Ownership

NAME = "provenance"


def provenance(
    documents: Mapping[str, Any], *, required: bool, ownership: Ownership | None = None
) -> GateResult:
    """Judge the licences of a document set, and what was found out about its documents.

    Args:
        documents: Summary of the `DocumentSet`: `licenses` (bytes by expression),
            `blocked_licenses`, and `blocked_origins` where there are any.
        required: Whether promotion needs this gate.
        ownership: Removed documents, and what does not fit; None: not looked at.

    Raises:
        EmptyEvaluationError: If the summary says nothing about licences.
    """
    if "blocked_licenses" not in documents or not documents.get("licenses"):
        raise EmptyEvaluationError("the document set does not say which licences it holds")
    found = ownership or Ownership()
    sizes = {str(name): int(size) for name, size in documents["licenses"].items()}
    blocked = sorted(str(name) for name in documents["blocked_licenses"])
    origins = sorted(str(name) for name in documents.get("blocked_origins", ()))
    num_bytes = sum(sizes.get(name, 0) for name in blocked)
    total = sum(sizes.values())
    problems = []
    if blocked:
        problems.append(
            f"{num_bytes:,} of {total:,} bytes of text are under"
            f" {_listed(blocked)}, which the policy blocks; {_remedy(blocked)}"
        )
    if origins:
        problems.append(
            f"policy.deny_origins blocks {', '.join(map(repr, origins))}; remove those sources"
        )
    if found.num_removed_in_use:
        names, used = ", ".join(found.removed_in_use[:3]), found.num_removed_in_use
        problems.append(
            f"{counted(used, 'document')} {named(used, 'is', 'are')} used that"
            f" {named(used, 'was', 'were')} removed, or near to a removed one ({names}); train"
            " again, ingest keeps them out"
        )
    if found.base_removed:
        problems.append(
            f"the weights start from {found.base}, which was trained on {found.base_removed}"
            f" documents that were removed since; train a version of that model without them, and"
            " start from it"
        )
    if found.made_from is not None:
        problems += _of_base(found.made_from)
    if found.broken:
        problems.append(f"{'; '.join(found.broken)}; prepare the data again")
    return GateResult(
        gate=NAME,
        required=required,
        outcome="FAIL" if problems else "PASS",
        value=float(num_bytes),
        limit=0.0,
        unit="bytes",
        reason=_sentence(problems, sizes=sizes, found=found),
        evidence={
            "licenses": sizes,
            "blocked_licenses": blocked,
            "blocked_origins": origins,
            "removals": found.removals,
            "removed_documents_kept_out": found.kept_out,
            "removed_documents_in_use": found.num_removed_in_use,
            "removed_documents_named": list(found.removed_in_use),
            "base": found.base,
            "base_removed_documents": found.base_removed,
            "broken": list(found.broken),
            **({"made_from": found.made_from.to_json()} if found.made_from else {}),
        },
    )


def _of_base(base: BaseOwnership) -> list[str]:
    """What is wrong with the pretrained model that the weights are made from."""
    problems = []
    model = f"the pretrained model {base.name}"
    if "license" in base.blocked:
        remedy = (
            "start from another model, or take the licence off policy.deny (or add it to allow)"
        )
        if base.license == UNKNOWN:
            remedy = (
                "state it as model.license, or set policy.unknown_license: allow if you have the"
                " right to use it"
            )
        problems.append(
            f"{model} is under {_listed([base.license])}, which the policy blocks; {remedy}"
        )
    if "origin" in base.blocked:
        problems.append(
            f"{model} is of an origin that policy.deny_origins blocks; start from another model"
        )
    if base.broken:
        problems.append(f"{model}: {'; '.join(base.broken)}; delete its folder and import it again")
    return problems


def _sentence(problems: list[str], *, sizes: Mapping[str, int], found: Ownership) -> str:
    if problems:
        text = ". ".join(problem[0].upper() + problem[1:] for problem in problems)
        return f"{text}."
    text = f"All {sum(sizes.values()):,} bytes of text are under {_listed(sorted(sizes))}: allowed."
    if found.removals:
        text += (
            f" {counted(found.kept_out, 'text')} {named(found.kept_out, 'was', 'were')} kept out"
            f" because of {counted(found.removals, 'removal')}, and none of them, nor a near-copy,"
            " is among the documents."
        )
    if found.made_from is not None:
        text += (
            f" So is the pretrained model {found.made_from.name}, under"
            f" {_listed([found.made_from.license])}."
        )
    return text


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
        ways.append(
            "remove those sources, or take the licence off policy.deny (or add it to policy.allow)"
        )
    return "; ".join(ways)
