"""`lmcore score`: bits per byte of a file, with its interval over documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from flows.commands.shared.inputs import file_of
from lmcore.counted import counted


@command(
    "lmcore score letter.txt",
    "lmcore score letters.jsonl --version previous --json",
    "lmcore score - < letter.txt",
    makes_home=False,
)
@click.argument("file", type=options.PATH)
@options.version
@options.model
def score(file: Path, version: str, model: str | None) -> Answer:
    """Measure how well a model predicts a file, in bits per byte.

    Less is better; a file of several documents has an interval. FILE that is - is a text on
    standard input.
    """
    from flows.commands.shared.models import open_model
    from lmcore.data.sources.single_file import read_documents
    from lmcore.evaluation.scores.scoring import score_documents
    from lmcore.evaluation.scores.table import NATS_PER_BIT

    found, folder = open_model(version, model)
    with file_of(file, what="a text to score") as path:
        documents = read_documents(path, data=folder.masking_settings())
    table = score_documents(folder.load_model(), folder.load_tokenizer(), documents)
    # One document has a value and no spread.
    total: dict[str, Any] = {"value": table.total_bits_per_byte(), "lower": None, "upper": None}
    bits = table.nll_nats / NATS_PER_BIT
    values = {
        "model": found.model,
        "version": found.number,
        "bits_per_byte": table.bits_per_byte().as_metric("bits/byte")
        if len(table) >= 2
        else {**total, "unit": "bits/byte", "n": len(table)},
        "documents": [
            {"id": str(table.id[i]), "bytes": int(table.num_bytes[i]), "bits": float(bits[i])}
            for i in range(len(table))
        ],
    }
    return Answer(values=values, text=_text)


def _text(answer: Values) -> None:
    found = answer["bits_per_byte"]
    text.line(f"{text.interval(found)} over {counted(found['n'], 'document')}")
