"""Which versions and content folders are still needed: decisions, and nothing is touched.

In: versions, aliases, the history and what content folders were made of.  Out: reasons to keep, by
version; keys to keep.  Whatever has no reason may go (`flows.retention.pruning`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from flows.registry.versions import Version
from lmcore.evaluation.kept_parts import KeptPart
from lmcore.manifest import strings_in
from lmcore.model.pretrained.base import Base
from lmcore.version_sketches import SketchSet

#: Kinds of content that wait for a later step: answers for a report, sketches for a version.
WAITING = (KeptPart.kind, SketchSet.kind)
#: Kinds of content folders that a version names one by one; others are caches made from these.
LINEAGE_KINDS = ("documents", "tokenizer", "shards", "checkpoint", "evaluation", Base.kind)


def reasons_to_keep(
    versions: Sequence[Version],
    *,
    keep: int,
    aliases: Mapping[str, int],
    rollback_to: int | None,
    starts: Mapping[int, str],
    bases: Mapping[int, str] | None = None,
) -> dict[int, list[str]]:
    """Why each version of a model is kept; those without an entry are not needed.

    Args:
        versions: All versions of one model.
        keep: So many of the newest ones are kept.
        aliases: Alias to number; whoever set one wants the version, whatever it is called.
        rollback_to: Version that a rollback would go to.
        starts: Of each version whose training went on from another: the hash of its weights.
        bases: Versions that a version of another model was fine-tuned from: number to which one.
    """
    reasons: dict[int, list[str]] = {}
    numbers = sorted(version.number for version in versions)
    for number in numbers[-keep:] if keep else ():
        reasons.setdefault(number, []).append(
            "the newest" if keep == 1 else f"one of the {keep} newest"
        )
    for alias, number in sorted(aliases.items()):
        reasons.setdefault(number, []).append(alias)
    if rollback_to is not None:
        reasons.setdefault(rollback_to, []).append("a rollback would go to it")
    for number, task in sorted((bases or {}).items()):
        reasons.setdefault(number, []).append(f"{task} was fine-tuned from it")
    # Only the last step back: a version can be rebuilt from the weights that it went on from.
    wanted: dict[str, int] = {}
    for number in sorted(reasons):
        if number in starts:
            wanted[starts[number]] = number
    for version in sorted(versions, key=lambda version: version.number, reverse=True):
        if (follower := wanted.pop(version.weights_sha256, None)) is not None:
            reasons.setdefault(version.number, []).append(f"version {follower} went on from it")
    known = set(numbers)
    return {number: why for number, why in sorted(reasons.items()) if number in known}


def is_needed(kind: str, key: str, inputs: Mapping[str, Any], *, wanted: AbstractSet[str]) -> bool:
    """Whether a content folder is named by something that is kept, or is a cache made from such.

    What waits for a step that comes later (`WAITING`) is of no more use when that is done.

    Args:
        kind: Of the folder.
        key: Of the folder.
        inputs: What it was made of.
        wanted: Keys that kept versions and unfinished runs name.
    """
    if key in wanted:
        return True
    return kind not in (*LINEAGE_KINDS, *WAITING) and not wanted.isdisjoint(strings_in(inputs))


def lineage_keys(lineage: Mapping[str, Any]) -> set[str]:
    """The content folders that a version names."""
    keys = {kind: lineage.get(kind) for kind in LINEAGE_KINDS}
    # Of a base the lineage says more than the key.
    keys[Base.kind] = (keys[Base.kind] or {}).get("key")
    return {str(key) for key in keys.values() if key}
