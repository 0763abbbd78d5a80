"""`lmcore generate`: a language model continues texts; in a terminal they appear as they are drawn.

With `--attribute` each answer says which pieces of it stand verbatim in the training data.  A
version carries the documents' ids, sources and licences, and never their text.  The text lies in
the content store of the home that trained it, as token shards named in the version's lineage; the
index over them is made once and kept beside them.  Where the shards are gone (pruned, forgotten,
another machine), the answer is an error that says so, never an empty list.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.shared import options, text
from flows.commands.shared.command import Answer, Values, command
from flows.commands.shared.inputs import STANDARD_INPUT, read_lines, read_standard_input
from lmcore.errors import IntegrityError, UserError

if TYPE_CHECKING:
    from lmcore.data.tokens.tokenizer import Tokenizer
    from lmcore.evaluation.memory.suffix_array import TrainIndex
    from lmcore.version_folder import VersionFolder

# Lanes of one forward; more gain little on a few cores, and each has a state in memory.
_PROMPTS_TOGETHER = 32

_NO_PROMPT = (
    "Missing option '--prompt': give a text, a file of them with '--prompts-file', or one on"
    ' standard input, as in `echo "Fellow citizens" | lmcore generate`.'
)

#: What stands verbatim in the training data, of a new text.
_Attribute = Callable[[str], dict[str, Any]]


@command(
    'lmcore generate --prompt "Fellow citizens" --seed 1 --max-tokens 60',
    'lmcore generate --prompt "Dear" --prompt "To the" --temperature 0 --json',
    "lmcore generate --prompts-file prompts.txt --version 3 --attribute",
    'echo "Fellow citizens" | lmcore generate',
    makes_home=False,
)
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="TEXT",
    help="Text to continue; repeatable; - or none: standard input.",
)
@click.option(
    "--prompts-file",
    type=options.PATH,
    metavar="FILE",
    help="Texts to continue, one a line; -: standard input.",
)
@click.option("--max-tokens", default=200, metavar="N", help="End after so many tokens.")
@click.option("--seed", type=int, metavar="S", help="Same seed, same text; without it, drawn.")
@click.option(
    "--temperature", default=0.8, metavar="T", help="How freely to draw: 0 takes the likeliest."
)
@click.option(
    "--top-k", default=0, metavar="K", help="Draw among the K likeliest tokens; 0: among all."
)
@click.option(
    "--top-p",
    default=0.95,
    metavar="P",
    help="Draw among the likeliest tokens that hold this share.",
)
@click.option(
    "--repetition-penalty",
    default=1.0,
    metavar="R",
    help="Above 1 makes each of the last 64 tokens less likely.",
)
@click.option("--stop", multiple=True, metavar="TEXT", help="End before this text; repeatable.")
@click.option(
    "--attribute",
    is_flag=True,
    help="Mark what stands verbatim in the training data, with document and licence.",
)
@options.version
@options.model
def generate(
    prompts: tuple[str, ...],
    prompts_file: Path | None,
    version: str,
    model: str | None,
    **settings: Any,
) -> Answer:
    """Continue a text, or several at once, with a registered model.

    The n-th of several texts is drawn with the seed plus n, counted from 0, as if it were alone.
    """
    if prompts_file is not None and prompts:
        raise click.UsageError("Give '--prompt' or '--prompts-file', not both.")
    if prompts.count(STANDARD_INPUT) > 1:
        raise click.UsageError("Give '--prompt -' once: standard input is one text.")
    if prompts_file is None and not prompts:
        prompts = (read_standard_input("a text to continue", missing=_NO_PROMPT),)
    else:
        prompts = tuple(
            read_standard_input("a text to continue") if given == STANDARD_INPUT else given
            for given in prompts
        )
    return continue_texts(
        prompts if prompts_file is None else prompts_file,
        # In JSON the answer is one object, so there is nothing to show before it is whole.
        live=not click.get_current_context().params["as_json"],
        version=version,
        model=model,
        **settings,
    )


def continue_texts(
    prompts: Sequence[str] | Path,
    *,
    seed: int | None = None,
    live: bool = False,
    attribute: bool = False,
    version: str = "champion",
    model: str | None = None,
    **settings: Any,
) -> Answer:
    """Continue prompts with a registered model.

    Args:
        prompts: Texts, or a file with one a line. A single text has an answer of its own shape.
        seed: None draws one; it is in the answer.
        live: For one text, draw its continuation while it is shown.
        attribute: Say which pieces of the new text stand verbatim in the training data.
        version: Number or alias.
        model: Name; needed where there are several.
        settings: Other fields of `GenerationConfig`.
    """
    from flows.commands.shared.models import open_model
    from lmcore.data.tokens.vocabularies import utf8
    from lmcore.model import generation

    config = generation.GenerationConfig(
        seed=secrets.randbelow(1 << 31) if seed is None else seed, **settings
    )
    single = not isinstance(prompts, Path) and len(prompts) == 1
    texts = read_lines(prompts, what="prompt") if isinstance(prompts, Path) else prompts
    for given in (*texts, *config.stop):
        utf8(given)
    found, folder = open_model(version, model)
    network, tokenizer = folder.load_model(), folder.load_tokenizer()
    config = replace(config, forbidden=folder.forbidden())
    # The model reads what it could have learnt from; the answer shows what was given.
    masking = folder.load_masking()
    read = [masking.apply(text) for text in texts]
    attributions = _attributor(folder, tokenizer) if attribute else lambda text: {}
    values = {"model": found.model, "version": found.number, "seed": config.seed}
    if single and live and not attribute:
        pieces = generation.stream_generate(network, tokenizer, read[0], config)
        values["prompt"] = texts[0]
        return Answer(values=values, text=functools.partial(_stream, pieces=pieces))
    if single:
        result = generation.generate(network, tokenizer, read[0], config)
        values |= {"prompt": texts[0], **asdict(result), **attributions(result.text)}
        return Answer(values=values, text=_one)
    generations = []
    for start in range(0, len(texts), _PROMPTS_TOGETHER):
        batch = read[start : start + _PROMPTS_TOGETHER]
        own = replace(config, seed=(config.seed + start) % (1 << 63))
        results = generation.generate_batch(network, tokenizer, batch, own)
        generations += [
            {"prompt": prompt, **asdict(result), **attributions(result.text)}
            for prompt, result in zip(texts[start:], results, strict=False)
        ]
    return Answer(values={**values, "generations": generations}, text=_several)


def _attributor(folder: VersionFolder, tokenizer: Tokenizer) -> _Attribute:
    """Attributes texts to the training data of one version.

    Raises:
        UserError: If the training text of the version is not in this home any more.
    """
    from lmcore.evaluation.memory.attribution import attribute

    index = _open_index(folder)

    def documents(ids: frozenset[str]) -> Mapping[str, Mapping[str, Any]]:
        if not ids:
            return {}
        return {
            row["id"]: {
                "id": row["id"],
                "source": row["origin"],
                "license": row["license"],
                "name": row["name"],
            }
            for row in folder.documents()
            if row["id"] in ids
        }

    def attributions(text: str) -> dict[str, Any]:
        spans = attribute(text, index=index, tokenizer=tokenizer, look_up=documents)
        return {"attributions": [span.to_json() for span in spans]}

    return attributions


def _open_index(folder: VersionFolder) -> TrainIndex:
    from flows.home.environment import current
    from lmcore.content_store import ContentStore
    from lmcore.data.tokens.shards import ShardSet
    from lmcore.evaluation.memory.suffix_array import train_index

    store = ContentStore(current().content)
    key = str(folder.lineage().get("shards", ""))
    path = store.path(ShardSet.kind, key) if key else None
    if path is None or not path.is_dir():
        raise UserError(
            "--attribute: the training text of this version is not in this home any more (no"
            f" shards {key[:12] or 'are named in its lineage'} in {store.root});"
            " `lmcore run` with its sources and configuration prepares it again"
        )
    try:
        return train_index(store, ShardSet.open(path))
    except IntegrityError as error:
        raise UserError(f"--attribute: the training text cannot be read: {error}") from error


def _stream(answer: Values, *, pieces: Iterable[str]) -> None:
    """The prompt and its continuation, piece by piece as it is drawn."""
    text.line(answer["prompt"], end=False)
    try:
        for piece in pieces:
            text.line(piece, end=False)
    finally:
        # Ctrl-C and errors too leave a whole line behind.
        text.line()


def _one(answer: Values) -> None:
    text.line(answer["prompt"] + answer["text"])
    _attributions(answer)


def _several(answer: Values) -> None:
    generations = answer["generations"]
    for place, generation in enumerate(generations, start=1):
        text.title(f"[{place} of {len(generations)}]")
        _one(generation)


def _attributions(generation: Values) -> None:
    """What of the new text stands verbatim in the training data, and whose it is."""
    spans = generation.get("attributions")
    if spans is None:
        return
    text.line()
    if not spans:
        text.line("No piece of it stands verbatim in the training data (common phrases aside).")
    for span in spans:
        piece = text.one_line(span["text"], 200)
        text.line(f"characters {span['start']} to {span['end']}: {piece!r}")
        for document in span["documents"]:
            name, source = (
                text.one_line(document["name"], 60),
                text.one_line(document["source"], 80),
            )
            text.line(f"  {document['id'][:12]}  {document['license']}  {name}  {source}")
