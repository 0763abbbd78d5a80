"""Tokens of documents that were cut before, by the same tokenizer: new text alone is cut again.

In: a content store.  Out: for a document's id its tokens, where an earlier folder of shards holds
them.  An id is the hash of a text, and tokens depend on text and tokenizer alone, so shards that
are made with this help are the same bytes as without.  Documents that are gone are not asked for.

A lookup costs 16 bytes a document of memory; tokens stay on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from lmcore.content_store import ContentStore
from lmcore.data.id_lookup import IdLookup, numbers_of
from lmcore.digests import digest
from lmcore.manifest import Manifest

if TYPE_CHECKING:
    from lmcore.data.tokens.token_stream import TokenStream
    from lmcore.data.tokens.tokenizer import TokenizerHandle

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

    def find(self, document: str) -> npt.NDArray[Any] | None:
        """A document's tokens, its end token last; None where they are not known."""
        for stream, lookup in zip(self._streams, self._lookups, strict=True):
            for index in lookup.find(document):
                if stream.doc_ids[index] == document.encode():
                    start = int(stream.doc_ends[index - 1]) if index else 0
                    return stream.read(start, int(stream.doc_ends[index]))
        return None
