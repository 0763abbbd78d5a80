"""What a shell completes of what is registered: models, aliases, versions.

In: the model that the command line names so far.  Out: candidates, and what each is.  Nothing is
imported that takes long, nothing is made, and where the registry cannot be read at once there is
nothing to complete.
"""

from __future__ import annotations

from collections.abc import Mapping

from click.shell_completion import CompletionItem

from flows.registry.glance import GlancedModel, glance
from lmcore.counted import counted

#: Candidate, and what is shown beside it by shells that can.
Candidates = Mapping[str, str]


def items(candidates: Candidates, incomplete: str) -> list[CompletionItem]:
    """Those that begin so."""
    return [
        CompletionItem(value, help=what or None)
        for value, what in candidates.items()
        if value.startswith(incomplete)
    ]


def models(chosen: str | None) -> Candidates:
    """Names of models."""
    return {
        model.name: f"{model.task}, {counted(len(model.numbers), 'version')}"
        for model in glance() or ()
    }


def aliases(chosen: str | None) -> Candidates:
    """Aliases that a version has, of the chosen model or of any."""
    found: dict[str, str] = {}
    for model in _chosen(chosen):
        for alias, number in sorted(model.aliases.items()):
            found.setdefault(alias, f"version {number} of {model.name}")
    return found


def versions(chosen: str | None) -> Candidates:
    """Aliases, then numbers, newest first, of the chosen model, or of the only one there is."""
    candidates = _chosen(chosen)
    if len(candidates) != 1:
        return aliases(chosen)
    (model,) = candidates
    names: dict[int, list[str]] = {}
    for alias, number in model.aliases.items():
        names.setdefault(number, []).append(alias)
    numbers = {str(n): ", ".join(sorted(names.get(n, ()))) for n in reversed(model.numbers)}
    return {**aliases(chosen), **numbers}


def _chosen(name: str | None) -> list[GlancedModel]:
    return [model for model in glance() or () if name in (None, model.name)]
