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

import numpy as np
import numpy.typing as npt

from lmcore.content_store import ContentStore
from lmcore.digests import digest
from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest

if TYPE_CHECKING:
    from lmcore.data.tokens.token_stream import TokenStream
    from lmcore.data.tokens.tokenizer import TokenizerHandle

#: In the summary of a folder of shards: what cut it.
SUBSTANCE = "tokenizer_substance"
# Of an id, in hexadecimal digits: as many as fit into 64 bits.
_DIGITS = 16


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
    found: list[tuple[float, Path]] = []
    for path in (store.root / kind).glob("[!.]*"):
        try:
            manifest = Manifest.read(path)
            changed = path.stat().st_mtime
        except (IntegrityError, OSError):
            continue  # damaged, or just being removed
        if (manifest.summary.get(SUBSTANCE), manifest.inputs.get("code")) == (substance, code):
            found.append((changed, path))
    return max(found)[1] if found else None


class KnownTokens:
    """Tokens by document.

    Args:
        streams: Of earlier shards; documents of the first count where both hold one.
    """

    def __init__(self, streams: Sequence[TokenStream] = ()) -> None:
        self._streams = streams
        self._looked_up = [_order(stream.doc_ids) for stream in streams]

    def find(self, document: str) -> npt.NDArray[Any] | None:
        """A document's tokens, its end token last; None where they are not known."""
        wanted = np.uint64(int(document[:_DIGITS], 16))
        for stream, (keys, order) in zip(self._streams, self._looked_up, strict=True):
            place = int(np.searchsorted(keys, wanted))
            while place < len(keys) and keys[place] == wanted:
                index = int(order[place])
                if stream.doc_ids[index] == document.encode():
                    start = int(stream.doc_ends[index - 1]) if index else 0
                    return stream.read(start, int(stream.doc_ends[index]))
                place += 1
        return None


def _order(ids: npt.NDArray[np.bytes_]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """The first digits of ids as numbers, ascending, and where each stands."""
    keys = np.empty(len(ids), dtype=np.uint64)
    for start in range(0, len(ids), 1 << 16):
        some = np.asarray(ids[start : start + (1 << 16)])
        digits = some.view(np.uint8).reshape(len(some), -1)[:, :_DIGITS].astype(np.int64)
        values = np.where(digits >= ord("a"), digits - ord("a") + 10, digits - ord("0"))
        total = np.zeros(len(some), dtype=np.uint64)
        for column in range(_DIGITS):
            total = (total << np.uint64(4)) | values[:, column].astype(np.uint64)
        keys[start : start + len(some)] = total
    order = np.argsort(keys, kind="stable")
    return keys[order], order
