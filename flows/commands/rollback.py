"""`lmcore rollback`: the last champion that works is the champion again."""

from __future__ import annotations

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, command


@command('lmcore rollback --reason "it invents names"', makes_home=False)
@options.model
@options.reason
def rollback(model: str | None, reason: str) -> Answer:
    """Go back to the champion before this one.

    The present one is quarantined: nothing promotes it again but `lmcore promote --override`.
    """
    from flows.commands.shared.models import moved, settled
    from flows.registry.promotion import me
    from flows.registry.promotion import rollback as go_back

    registry, name = settled(model)
    done = go_back(registry, name, who=me(), reason=reason)
    return Answer(values=moved(done, name, "is the champion again"), text=text.sentence)
