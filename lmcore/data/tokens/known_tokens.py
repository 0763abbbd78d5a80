"""Tokens of documents that were cut before, by the same tokenizer: new text alone is cut again.

In: a content store.  Out: for a document's id its tokens, where an earlier folder of shards holds
them.  An id is the hash of a text, and tokens depend on text and tokenizer alone, so shards that
are made with this help are the same bytes as without.  Documents that are gone are not asked for.

A lookup costs 16 bytes a document of memory; tokens stay on disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lmcore.content_store import ContentStore
from lmcore.data.id_lookup import IdLookup, numbers_of
from lmcore.digests import digest
from lmcore.manifest import Manifest

if TYPE_CHECKING:
    from lmcore.data.tokens.token_stream import TokenStream
    from lmcore.data.tokens.tokenizer import TokenizerHandle

#: Of an id as it is stored.
ID_DTYPE = np.dtype("S64")
#: In the summary of a folder of shards: what cut it.
SUBSTANCE = "tokenizer_substance"


def substance_of(tokenizer: TokenizerHandle) -> str:
    """What a tokenizer does, whatever it was fitted on or taken over from: a hash of its files."""
    return digest({name: sha for name, (_, sha) in Manifest.read(tokenizer.path).files.items()})


def folder_cut_by(store: ContentStore, kind: str, *, substance: str, code: str) -> Path | None:
    """The newest folder of shards that a tokenizer cut; None where there is none.

    Args:
        store: Where it may be.
        kind: Of folders of shards.
        substance: Of the tokenizer.
        code: Digest of the code that cuts, as the folder's inputs name it.
    """

    def is_cut_so(folder: Path) -> bool:
        manifest = Manifest.read(folder)
        return (manifest.summary.get(SUBSTANCE), manifest.inputs.get("code")) == (substance, code)

    return store.newest(kind, is_cut_so)


class KnownTokens:
    """Tokens by document.

    Args:
        streams: Of earlier shards; documents of the first count where both hold one.
    """

    def __init__(self, streams: Sequence[TokenStream] = ()) -> None:
        self._streams = streams
        self._lookups = [IdLookup(numbers_of(stream.doc_ids)) for stream in streams]

    @property
    def num_bytes(self) -> int:
        """Of the documents whose tokens are known."""
        return sum(stream.num_bytes for stream in self._streams)

    def find_all(self, documents: Sequence[str]) -> list[npt.NDArray[Any] | None]:
        """Tokens of each document, its end token last; None where they are not known."""
        found: list[npt.NDArray[Any] | None] = [None] * len(documents)
        if not self._streams:
            return found
        ids = np.array([document.encode() for document in documents], dtype=ID_DTYPE)
        left = np.arange(len(ids))
        for stream, lookup in zip(self._streams, self._lookups, strict=True):
            places = lookup.first(numbers_of(ids[left]))
            # Where two ids begin alike, the first of them need not be the one.
            at = np.flatnonzero(places >= 0)
            for row in at[stream.doc_ids[places[at]] != ids[left[at]]]:
                wanted = ids[left[row]]
                others = lookup.find(documents[left[row]])
                places[row] = next((p for p in others if stream.doc_ids[p] == wanted), -1)
            known = places >= 0
            for row, tokens in zip(left[known], _tokens(stream, places[known]), strict=True):
                found[row] = tokens
            left = left[~known]
        return found


def _tokens(stream: TokenStream, places: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[Any]]:
    """Tokens of documents; those that stand behind one another are read together."""
    for run in np.split(places, np.flatnonzero(np.diff(places) != 1) + 1):
        if len(run):
            ends = stream.doc_ends[run[0] : run[-1] + 1]
            start = int(stream.doc_ends[run[0] - 1]) if run[0] else 0
            yield from np.split(stream.read(start, int(ends[-1])), ends[:-1] - start)
