"""`lmcore export`: a version for programs that know nothing of lmcore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from lmcore.counted import counted

if TYPE_CHECKING:
    from lmcore.version_export import Format


@command(
    "lmcore export champion --out exported",
    "lmcore export 3 --model stories --out exported --format onnx --json",
    makes_home=False,
)
@options.version_argument()
@click.option("--out", type=options.PATH, required=True, metavar="FOLDER", help="A new folder.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["hf", "onnx", "gguf"]),
    default="hf",
    help="hf: transformers; onnx: a graph of one step; gguf: llama.cpp.",
)
@options.model
def export(version: str, out: Path, form: Format, model: str | None) -> Answer:
    """Write a version as a folder that other programs load.

    For `transformers` a model from random weights brings its own code (trust_remote_code=True); one
    that was gone on from is whole, in the form of its architecture.  As ONNX a model from random
    weights is a graph that reads a token and a state; as GGUF one that was gone on from is a file
    of llama.cpp.
    """
    from flows.commands.shared.models import open_model
    from flows.home.access import as_the_user
    from flows.home.environment import current
    from lmcore.version_export import export_version

    found, folder = open_model(version, model, task=False)
    path = current().resolve(out)
    with as_the_user():
        files = export_version(folder, path, form=form)
    values = {
        "model": found.model,
        "version": found.number,
        "format": form,
        "path": str(path),
        "files": files,
        "bytes": sum((path / name).stat().st_size for name in files),
    }
    return Answer(values=values, text=_text)


def _text(answer: Values) -> None:
    text.line(answer["path"])
    text.line(f"  {counted(len(answer['files']), 'file')}, {answer['bytes']:,} bytes")
