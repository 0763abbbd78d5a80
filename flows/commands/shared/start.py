"""What a run would start from, for a look before it: a model that exists, or why it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lmcore.errors import UserError
from lmcore.model.config import PretrainedConfig

if TYPE_CHECKING:
    from lmcore.config import RunConfig


def look_at_start(config: RunConfig) -> tuple[dict[str, Any] | None, list[str]]:
    """Find out what a model is, without its weights and without keeping anything.

    Returns:
        What it is, as JSON values, None for random weights; and why a run would stop.
    """
    if not isinstance(config.model, PretrainedConfig):
        return None, []
    from flows.steps.import_model import model_to_start_from, spdx_name
    from lmcore.model.pretrained.inspection import inspect_model
    from lmcore.model.pretrained.places import find_place

    try:
        chosen = model_to_start_from(config) or config.model
        found = inspect_model(find_place(chosen), chosen, spdx=spdx_name)
    except UserError as error:
        return {"place": config.model.pretrained}, [str(error)]
    told = {
        "place": config.model.pretrained,
        "name": found.place.title,
        "architecture": found.architecture,
        "parameters": found.parameters,
        "vocab_size": found.vocab_size,
        "end_token": found.end_token,
        "context": min(config.model.context, found.most_tokens or config.model.context),
        "most_tokens": found.most_tokens,
        "adapt": config.model.adapt,
        "license": found.license,
        "known_until": config.model.known_until and config.model.known_until.isoformat(),
    }
    return told, []


def start_lines(start: Mapping[str, Any] | None) -> list[str]:
    """The same for people."""
    if start is None:
        return []
    if "name" not in start:
        return [f"starts from: {start['place']}"]
    known = start["known_until"] or "an unknown day"
    learns = "all of it learns" if start["adapt"] == "full" else "small matrices beside it learn"
    most = start["most_tokens"]
    return [
        f"starts from: {start['name']}, {start['architecture']},"
        f" {start['parameters'] / 1e6:,.1f} M weights; {learns}",
        f"  licence {start['license']}, knows the world until {known}",
        f"  reads {start['context']:,} tokens together"
        + (f" of at most {most:,}" if most else "")
        + f", ends documents with {start['end_token']!r}",
    ]
