"""`lmcore forget`: a document leaves every later model, and what is cached."""

from __future__ import annotations

import click

from flows.commands.shared import concerned, options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.counted import counted


@command(
    'lmcore forget letter.txt --reason "asked by its author" --dry-run',
    'lmcore forget 889b1ff255c28440 --reason "asked by its author"',
)
@click.argument("target", metavar="FILE_OR_ID", type=options.FILE_OR_WORDS)
@options.reason
@options.dry_run
@options.one_model("Forget it in this model alone; without it in all.")
def forget(target: str, reason: str, dry_run: bool, model: str | None) -> Answer:
    """Keep a document and its near-copies out of every later model.

    What is cached of it is erased. Versions that were trained on it stay as they are, and so do
    your own files. FILE_OR_ID is a file, or the id of a document (8 to 64 hexadecimal digits) as
    `lmcore lineage VERSION --documents N` lists them.
    """
    from flows.commands.shared.forgetting import forget_document

    return Answer(values=forget_document(target, model, reason=reason, dry_run=dry_run), text=_text)


def _text(answer: Values) -> None:
    """What is kept out from now on, what was erased, and which versions still know it."""
    concerned.show(answer)
    text.line()
    if answer["dry_run"]:
        text.line("Nothing was changed (--dry-run).")
        return
    scope = f"later version of {answer['model']}" if answer["model"] else "later model"
    text.line(f"It is kept out of every {scope}, near-copies too; `lmcore run` trains without it.")
    if not answer["removals"]:
        text.line("  It was removed before.")
    text.line(f"  Erased: {counted(len(answer['erased']), 'cached folder')}.")
    if any(version["trained"] for version in answer["versions"]):
        text.line("  The versions above stay as they are: their weights learnt from it.")
    text.line("  Your own files were not touched.")
