"""Names of people, found by a model that the user provides: an optional part of masking.

In: masked text and the folder of a spaCy pipeline.  Out: the text with `<NAME>` in place of
each person.  spaCy, because a pipeline is a folder that is loaded from its path without any
network, runs on a CPU, and exists for many languages; whoever masks names installs it
(`pip install spacy`), since nothing else needs it.

Unlike numbers with a checksum, names are found by likelihood: some are missed and some words
are taken for names, so no recall is promised.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from lmcore.data.text.privacy import Masked, Span
from lmcore.digests import digest, sha256_file
from lmcore.errors import ConfigError

PLACEHOLDER = "<NAME>"
_LABELS = frozenset({"PERSON", "PER"})
# Longer texts are given to the model in pieces, cut at a line end: memory grows with the piece.
_PIECE_CHARACTERS = 100_000


class NameFinder(Protocol):
    """Finds people in a text."""

    def find(self, text: str) -> list[tuple[int, int]]:
        """Start and end of each name, in order and disjoint."""
        ...


def mask_names(text: str, *, finder: NameFinder) -> Masked:
    """Replace the names of people."""
    pieces: list[str] = []
    spans: list[Span] = []
    end = 0
    for start, stop in finder.find(text):
        # What masking by pattern left behind is no name.
        if start < end or PLACEHOLDER[0] in text[start:stop]:
            continue
        pieces += (text[end:start], PLACEHOLDER)
        spans.append(Span(kind="NAME", text=text[start:stop]))
        end = stop
    masked = "".join((*pieces, text[end:]))
    return Masked(text=masked, counts={"NAME": len(spans)} if spans else {}, spans=tuple(spans))


def names_digest(folder: str) -> str:
    """SHA-256 over the files of a model, whatever its place; empty if there is none.

    Raises:
        ConfigError: If the folder does not exist or is empty.
    """
    path = Path(folder)
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else []
    if not files:
        raise ConfigError(
            f"data.names: {folder} is no folder with a spaCy model; give the folder that holds its"
            " config.cfg, or leave data.names out"
        )
    return digest([[p.relative_to(path).as_posix(), sha256_file(p)] for p in files])


@lru_cache(maxsize=1)
def load_names(folder: str) -> NameFinder:
    """Load a model from its folder, without any network.

    Raises:
        ConfigError: If spaCy is not installed, or the folder holds no model with entities.
    """
    try:
        spacy: Any = importlib.import_module("spacy")
    except ImportError as error:
        raise ConfigError(
            f"data.names: {folder} needs spaCy, which is not installed ({error}); install it with"
            " pip install spacy, or leave data.names out"
        ) from error
    names_digest(folder)
    try:
        pipeline = spacy.load(Path(folder))
    except Exception as error:  # whatever a foreign folder provokes
        raise ConfigError(
            f"data.names: {folder} is no spaCy model that can be loaded"
            f" ({type(error).__name__}: {error}); give the folder that holds its config.cfg"
        ) from error
    if not {"ner", "entity_ruler", "span_ruler"} & set(pipeline.pipe_names):
        raise ConfigError(
            f"data.names: the model in {folder} has no part that finds entities (its parts:"
            f" {', '.join(pipeline.pipe_names) or 'none'}); use one with `ner`"
        )
    return _SpacyNames(pipeline)


class _SpacyNames:
    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    def find(self, text: str) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        start = 0
        while start < len(text):
            end = start + _PIECE_CHARACTERS
            if end < len(text):
                end = max(text.rfind("\n", start, end), start + _PIECE_CHARACTERS // 2) + 1
            for entity in self._pipeline(text[start:end]).ents:
                if entity.label_ in _LABELS:
                    found.append((start + entity.start_char, start + entity.end_char))
            start = end
        return found
