"""A split as one stream of tokens, mapped into memory from the shards that hold it.

In: a folder that `lmcore.data.tokens.shards` wrote.  Out: any range of the tokens, and which
documents it belongs to; memory does not depend on the size of the stream.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lmcore.errors import IntegrityError

INDEX_FILE = "index.json"
_COUNTED_TOGETHER, _COUNTED_PARTS = 1 << 20, 64

Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class TokenStream:
    """The tokens of one split as one array, whatever the number of files.

    Attributes:
        shards: Memory-mapped arrays in order.
        doc_ends: Position after each document's end token, int64 [documents], increasing.
        doc_ids: Id of each document, bytes of length 64 [documents].
        end_id: The token that closes each document.
        vocab_size: V, of the tokenizer.
        num_bytes: UTF-8 bytes of all documents.
        spelled_bytes: Bytes that the tokens stand for; others than those of the documents where
            the tokenizer changes what it reads.
        fingerprint: Hash of the content; the order of batches is keyed by it.
    """

    shards: tuple[npt.NDArray[Any], ...]
    doc_ends: npt.NDArray[np.int64]
    doc_ids: npt.NDArray[np.bytes_]
    end_id: int
    vocab_size: int
    num_bytes: int
    spelled_bytes: int
    fingerprint: str

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def bytes_per_spelled(self) -> float:
        """Bytes of the documents for each that the tokens stand for; 1 where nothing is changed."""
        return self.num_bytes / self.spelled_bytes if self.spelled_bytes else 1.0

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        sizes = [len(shard) for shard in self.shards]
        return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def frequencies(self, vocab_size: int) -> npt.NDArray[np.int64]:
        """How often each token occurs, [vocab_size]; in a long stream in evenly spaced parts."""
        counts = np.zeros(vocab_size, dtype=np.int64)
        parts = -(-len(self) // _COUNTED_TOGETHER)
        step = max(1, -(-parts // _COUNTED_PARTS))
        for part in range(0, parts, step):
            start = part * _COUNTED_TOGETHER
            chunk = self.read(start, min(len(self), start + _COUNTED_TOGETHER))
            counts += np.bincount(chunk, minlength=vocab_size)
        return counts

    def read(self, start: int, stop: int) -> Tokens:
        """Tokens [start, stop) as int64.

        Raises:
            IndexError: If the range leaves the stream.
        """
        if not 0 <= start <= stop <= len(self):
            raise IndexError(f"tokens {start}:{stop} of a stream of {len(self)}")
        result = np.empty(stop - start, dtype=np.int64)
        first = int(np.searchsorted(self._starts, start, side="right")) - 1
        filled = 0
        for shard, origin in zip(self.shards[first:], self._starts[first:], strict=False):
            if filled == len(result):
                break
            part = shard[start + filled - int(origin) : stop - int(origin)]
            result[filled : filled + len(part)] = part
            filled += len(part)
        return result

    def documents(self, start: int, stop: int) -> range:
        """Indices of the documents that have a token in [start, stop)."""
        if stop <= start:
            return range(0)
        first = int(np.searchsorted(self.doc_ends, start, side="right"))
        last = int(np.searchsorted(self.doc_ends, stop - 1, side="right"))
        return range(first, min(last + 1, len(self.doc_ends)))


def open_stream(folder: Path, *, split: str, fingerprint: str) -> TokenStream:
    """Map one split of a shard folder into memory.

    Raises:
        IntegrityError: If the folder does not hold what its index says.
    """
    try:
        index = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        facts = index["splits"][split]
        shards = tuple(
            _map(folder / f"{split}-{number:05d}.npy") for number in range(len(facts["shards"]))
        )
        if [len(shard) for shard in shards] != facts["shards"]:
            raise ValueError("the shards' lengths differ from the index")
        return TokenStream(
            shards=shards,
            doc_ends=_map(folder / f"{split}.ends.npy"),
            doc_ids=_map(folder / f"{split}.ids.npy"),
            end_id=int(index["end_id"]),
            vocab_size=int(index["vocab_size"]),
            num_bytes=int(facts["bytes"]),
            # Where it was not counted, nothing was changed.
            spelled_bytes=int(facts.get("spelled_bytes", facts["bytes"])),
            fingerprint=fingerprint,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"{folder}: no readable {split!r} shards ({error}); nothing was loaded."
            " Delete the folder to have it rebuilt"
        ) from error


def _map(path: Path) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
