"""`lmcore seen`: from a document to the versions that met it."""

from __future__ import annotations

import click

from flows.commands.shared import concerned, options
from flows.commands.shared.command import Answer, command


@command(
    "lmcore seen letter.txt",
    "lmcore seen 889b1ff255c28440 --model annual-messages --json",
    makes_home=False,
)
@click.argument("target", metavar="FILE_OR_ID", type=options.FILE_OR_WORDS)
@options.any_model
def seen(target: str, model: str | None) -> Answer:
    """Tell which versions were trained on a document or a near-copy.

    FILE_OR_ID is a file, or the id of a document (8 to 64 hexadecimal digits) as
    `lmcore lineage VERSION --documents N` lists them.
    """
    from flows.commands.shared.document_search import DocumentSearch, described
    from flows.commands.shared.models import named
    from flows.home.environment import current
    from flows.registry.models import Registry

    registry = Registry(current())
    search = DocumentSearch(registry, named(registry, model))
    queries = search.queries(target)
    versions = search.versions(queries)
    values = {
        "target": target,
        "documents": described(queries),
        "seen": any(version["trained"] for version in versions),
        "versions": versions,
        "unrecorded": search.unrecorded(),
        "problems": search.problems,
    }
    return Answer(values=values, text=concerned.show)
