"""Which pieces of a text stand verbatim in the training data, and whose they are.

In come a text and the index of the train stream; out come spans of the text with the documents that
hold them.  A span is a longest match: it cannot be made longer on either side.  Short ones
and *common phrases* are left out: what a run of ordinary words or a formula gives away is nobody's.
A span is common where it stands in more than `MAX_DOCUMENTS` documents.

Matching is by tokens, so it is exact up to the first and the last word of a span, which may be cut
where the tokenizer joins a part of them with what lies outside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmcore.data.text.words import words
from lmcore.data.tokens.text_bytes import own_bytes
from lmcore.data.tokens.tokenizer import Tokenizer
from lmcore.evaluation.memory.suffix_array import Matches, TrainIndex

MIN_CHARACTERS = 40
MIN_WORDS = 6
MAX_DOCUMENTS = 5

IntArray = NDArray[np.int64]
#: Facts of the documents of these ids: id to source, licence and so on; unknown ids are left out.
LookUp = Callable[[frozenset[str]], Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """One span and where it comes from.

    Attributes:
        start: First character in the text.
        stop: Character behind the last one.
        text: The span.
        documents: Of every document that holds it: id, source, licence, name.
    """

    start: int
    stop: int
    text: str
    documents: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """The span as JSON values."""
        return {
            "start": self.start,
            "end": self.stop,
            "text": self.text,
            "documents": [dict(document) for document in self.documents],
        }


def attribute(
    text: str,
    *,
    index: TrainIndex,
    tokenizer: Tokenizer,
    look_up: LookUp,
    min_characters: int = MIN_CHARACTERS,
    max_documents: int = MAX_DOCUMENTS,
) -> list[Attribution]:
    """Find the verbatim spans of a text, in order and without overlap.

    Args:
        text: Any text, for example what a model wrote.
        index: Of the train text.
        tokenizer: The one that the index's shards were written with.
        look_up: Facts of documents by id; asked once.
        min_characters: Of a span.
        max_documents: In more documents than this, a span is a common phrase.
    """
    tokens = np.asarray(tokenizer.encode(text), dtype=np.int64)
    edges = _character_edges(text, tokens, tokenizer.pieces)
    spans = []
    for start, length in _spans(index.longest(tokens), edges):
        first, last = int(edges[start]), int(edges[start + length])
        span = text[first:last].strip()
        if len(span) < min_characters or len(words(span)) < _words_wanted(span):
            continue
        places = index.find(tokens[start : start + length])
        documents = np.unique(index.documents_at(places))
        if len(documents) <= max_documents:
            spans.append((first, last, [index.document_id(int(d)) for d in documents]))
    facts = look_up(frozenset(identity for *_, ids in spans for identity in ids))
    found = []
    for first, last, ids in spans:
        # White space at the edges belongs to nobody.
        span = text[first:last]
        first += len(span) - len(span.lstrip())
        span = span.strip()
        known = [facts[identity] for identity in ids if identity in facts]
        if known:
            found.append(
                Attribution(start=first, stop=first + len(span), text=span, documents=known)
            )
    return found


def _words_wanted(text: str) -> int:
    """Six words, where the script has words."""
    return MIN_WORDS if " " in text else 1


def _spans(matches: Matches, edges: IntArray) -> list[tuple[int, int]]:
    """Start and length in tokens of longest matches, the longest first, none overlapping.

    Args:
        matches: Of every token.
        edges: Character at which each token begins, and the end of the text.
    """
    ends = np.arange(len(matches.length)) + matches.length
    # A match that ends where the one before it ends is a part of that one.
    whole = np.flatnonzero((matches.length > 0) & (ends > np.concatenate([[0], ends[:-1]])))
    size = edges[ends[whole]] - edges[whole]
    taken = np.zeros(len(edges), dtype=np.bool_)
    chosen = []
    for row in np.argsort(-size, kind="stable").tolist():
        start, length = int(whole[row]), int(matches.length[whole[row]])
        if taken[start : start + length].any():
            continue
        taken[start : start + length] = True
        chosen.append((start, length))
    return sorted(chosen)


def _character_edges(text: str, tokens: IntArray, pieces: Sequence[bytes]) -> IntArray:
    """Character at which each token begins, and the length of the text, shape [T + 1].

    A token that begins inside a character counts from the next one.
    """
    widths = np.array([len(character.encode()) for character in text], dtype=np.int64)
    sizes = np.array([len(pieces[token]) for token in tokens.tolist()], dtype=np.int64)
    byte_edges = np.concatenate([[0], np.cumsum(own_bytes(sizes, int(widths.sum())))])
    characters = np.concatenate([[0], np.cumsum(widths)])
    return np.searchsorted(characters, byte_edges, side="left").astype(np.int64)
