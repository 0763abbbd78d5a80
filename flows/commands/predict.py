"""`lmcore predict`: a model of a task answers texts."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from flows.commands.shared.inputs import STANDARD_INPUT, read_lines, read_standard_input

_NO_TEXT = (
    "Missing argument 'TEXT': give a TEXT, a file of them with '--file', or one on standard input."
)


@command(
    'lmcore predict --model reviews "A film to remember."',
    "lmcore predict --model reviews --file reviews.txt --json",
    "lmcore predict --model reviews --file - < reviews.txt",
    makes_home=False,
)
@click.argument("text", required=False)
@click.option(
    "--file", type=options.PATH, metavar="FILE", help="Texts, one a line; -: standard input."
)
@options.version
@options.model
def predict(text: str | None, file: Path | None, version: str, model: str | None) -> Answer:
    """Label, translate or summarize a text, or each line of a file.

    TEXT that is - or missing is read from standard input, as one text. Of a file an empty line is
    an empty text, so that answers keep their places.
    """
    if text is not None and file is not None:
        raise click.UsageError("Give a TEXT or '--file', one of them.")
    if file is None and text in (None, STANDARD_INPUT):
        text = read_standard_input("a text", missing=_NO_TEXT if text is None else "")
    from flows.commands.shared.models import open_model

    texts = read_lines(file, what="text") if file is not None else [text or ""]
    found, folder = open_model(version, model or _only_task_model(), task=True)
    answers = folder.load_predictor().predict(texts)
    values = {
        "model": found.model,
        "version": found.number,
        "predictions": [
            {**answer.to_json(), "input": answer.input.encode("utf-8", "replace").decode()}
            for answer in answers
        ],
    }
    return Answer(values=values, text=_text)


def _only_task_model() -> str | None:
    """The only model of a task, where there is one; language models do not count."""
    from flows.home.environment import current
    from flows.registry.models import Registry
    from lmcore.tasks.task import task_named

    registry = Registry(current())
    of_tasks = [
        name
        for name in registry.models()
        if any(not task_named(v.task).is_language_model for v in registry.versions(name)[-1:])
    ]
    return of_tasks[0] if len(of_tasks) == 1 else None


def _text(answer: Values) -> None:
    """One answer alone; several beside their inputs."""
    found = answer["predictions"]
    for one in found:
        output = one["output"]
        if one["probabilities"]:
            output += f"  ({one['probabilities'][one['output']]:.1%})"
        shown = text.one_line(one["input"], 60)
        text.line(output if len(found) == 1 else f"{shown}\t{output}")
        if one["note"]:
            text.line(f"  note: {one['note']}", err=True)
