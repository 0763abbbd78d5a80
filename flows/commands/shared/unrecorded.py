"""What a version began with, and the text that nobody here can know of because of it.

In: lineages of versions.  Out: JSON values and sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from flows.commands.shared import text

if TYPE_CHECKING:
    from flows.registry.models import Registry
    from flows.registry.versions import Version

_DIGEST_CHARACTERS = 12


def pretrained_facts(
    registry: Registry, version: Version, lineage: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The pretrained model of a version; None where it began with random weights.

    Returns:
        name, source, license, origin, known_until, key and weights (SHA-256), and in `registered`
        the version of its own that the registry has of it, None where it has none.
    """
    named = lineage.get("pretrained")
    if not isinstance(named, Mapping):
        return None
    registered = registry.bases.find(str(named.get("key")))
    return {**named, "registered": registered.designation if registered else None}


def described(pretrained: Mapping[str, Any]) -> list[str]:
    """Lines about a pretrained model."""
    where = pretrained["registered"] or "not in the registry"
    return [
        f"made from {_called(pretrained)}, licence {text.one_line(str(pretrained['license']), 60)}"
        f" ({where})",
        *(f"  {text.one_line(str(pretrained[key]))}" for key in ("origin",) if pretrained[key]),
        f"  from {text.one_line(str(pretrained['source']))}",
        f"  weights {str(pretrained['weights'])[:_DIGEST_CHARACTERS]}, {_until(pretrained)}",
    ]


def unrecorded(lineages: Iterable[tuple[Version, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Which versions may have met a document before anything was recorded of them.

    Args:
        lineages: Versions and their lineages.

    Returns:
        For each model and pretrained model: model, versions, pretrained (its name), key,
        known_until, sentence.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for version, lineage in lineages:
        named = lineage.get("pretrained")
        if not isinstance(named, Mapping):
            continue
        row = found.setdefault(
            (version.model, str(named.get("key"))),
            {
                "model": version.model,
                "versions": [],
                "pretrained": named.get("name"),
                "key": named.get("key"),
                "known_until": named.get("known_until"),
            },
        )
        row["versions"].append(version.number)
    for row in found.values():
        numbers = ", ".join(map(str, row["versions"]))
        which = "version" if len(row["versions"]) == 1 else "versions"
        row["sentence"] = (
            f"{row['model']} {which} {numbers}: the base model {row['pretrained']} was trained on"
            f" text that is not recorded here, so it may have met this too; {_until(row)}"
        )
    return list(found.values())


def _called(pretrained: Mapping[str, Any]) -> str:
    return f"the pretrained model {text.one_line(str(pretrained['name']), 80)}"


def _until(facts: Mapping[str, Any]) -> str:
    day = facts.get("known_until")
    return f"it has read text until {day}" if day else "until when its text goes is not known"
