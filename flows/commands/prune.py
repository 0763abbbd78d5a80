"""`lmcore prune`: retention, of versions and of the files that only they need."""

from __future__ import annotations

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command

_KINDS = ("versions", "models", "runs", "bases", "content", "work", "damaged", "shared")


@command(
    "lmcore prune --keep 3 --dry-run",
    "lmcore prune --keep 3 --model annual-messages",
    makes_home=False,
)
@click.option(
    "--keep",
    type=click.IntRange(1, 1_000_000),
    required=True,
    metavar="N",
    help="Newest versions of each model to keep, beside those in use.",
)
@options.dry_run
@options.one_model("Versions of this model alone; without it of all.")
def prune(keep: int, dry_run: bool, model: str | None) -> Answer:
    """Delete versions and files that are not needed any more.

    Kept beside the newest are versions with an alias, the one that a rollback would go to, and
    those that a kept version went on from; so is a pretrained model that a kept version was made
    from. The history keeps a note of each version that goes.
    """
    from flows.home.environment import current
    from flows.registry.models import Registry
    from flows.retention.pruning import prune_registry

    done = prune_registry(Registry(current()), model, keep=keep, dry_run=dry_run)
    return Answer(values={"model": model, **done}, text=_text)


def _text(answer: Values) -> None:
    """What was deleted, what stays and why."""
    rows = [
        (kind, f"{len(answer[kind]):,}", text.size(sum(row["bytes"] for row in answer[kind])))
        for kind in _KINDS
    ]
    text.table(rows, ("would be deleted" if answer["dry_run"] else "deleted", "number", "size"))
    text.line(f"  {text.size(answer['bytes'])} in all")
    for row in answer["versions"]:
        out_of_use = f", quarantined: {row['quarantined']}" if row["quarantined"] else ""
        text.line(f"  {row['model']} version {row['version']} ({row['outcome']}{out_of_use})")
    for row in answer["bases"]:
        text.line(f"  {row['model']} version {row['version']} (no version that stays needs it)")
    text.line()
    text.table(
        [(row["model"], row["version"], "; ".join(row["reasons"])) for row in answer["kept"]],
        ("kept", "version", "because"),
    )
