"""`lmcore promote`: a person makes a version the champion."""

from __future__ import annotations

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, command
from lmcore.errors import UserError

_REFUSED_EXIT = 3


@command(
    'lmcore promote 4 --reason "reads better to us"',
    'lmcore promote challenger --override --reason "the gate is wrong about poems"',
    makes_home=False,
)
@options.version_argument()
@options.model
@options.reason
@click.option("--override", is_flag=True, help="Promote although a gate did not pass.")
def promote(version: str, model: str | None, reason: str, override: bool) -> Answer:
    """Make a version the champion.

    Where its gates forbid it, nothing moves and the exit code is 3.
    """
    from flows.commands.shared.models import moved, settled
    from flows.registry.promotion import me
    from flows.registry.promotion import promote as move_champion

    registry, name = settled(model)
    if not reason.strip():
        raise UserError("--reason is empty; say why, it goes into the history")
    found = registry.version(name, version)
    aliases = registry.aliases(name)
    if not found.passed and not override:
        values = {
            "model": name,
            "version": found.number,
            "champion": aliases.get("champion"),
            "previous": aliases.get("previous"),
            "promoted": False,
            "sentence": (
                f"Version {found.number} of {name} was not promoted: {found.verdict.rstrip('.')}."
                " A person can decide otherwise with --override; the history will say so."
            ),
        }
        return Answer(values=values, text=text.sentence, exit_code=_REFUSED_EXIT)
    done = move_champion(
        registry,
        name,
        found.number,
        expected_champion=aliases.get("champion"),
        who=me(),
        reason=reason,
        override=override,
    )
    return Answer(values=moved(done, name, "is the champion now"), text=text.sentence)
