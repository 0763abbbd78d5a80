"""Documents to memory-mapped token shards: all the text of a split as one long stream.

In: documents and a tokenizer. Out: a folder with, for each split, `.npy` shards of
bounded size (uint16 where the vocabulary allows, else uint32), the end position of
each document (int64) and its id.  Canaries, where there are any, stand among the
train documents as documents of their own and are listed in `canaries.json`.

Each document is its tokens followed by the end token. Writing and reading both
stream, so memory depends neither on the corpus nor on one document's neighbours;
the index maps any range of the stream back to the documents that were read.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lmcore.artifacts import ContentStore, Handle, Manifest, atomic_write, code_digest, digest
from lmcore.data.tokens.canaries import CANARIES_FILE, CanarySet, with_canaries
from lmcore.data.tokens.npy_writer import NpyWriter
from lmcore.data.tokens.tokenizer import CODE_MODULES, Tokenizer, TokenizerHandle
from lmcore.errors import IntegrityError, SourceError

if TYPE_CHECKING:
    from lmcore.data.documents import Document, DocumentSet

SPLITS = ("train", "tune")
SHARD_TOKENS = 1 << 26
_REPORT_EVERY = 100
INDEX_FILE = "index.json"
_BATCH_CHARACTERS = 1 << 20
_ID_DTYPE = np.dtype("S64")
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


class ShardSet(Handle):
    """Token shards of train and tune. Summary: per split its tokens, documents and bytes.

    Canaries count among the documents and bytes of train; `canaries` says how many there are.
    """

    kind = "shards"

    def stream(self, split: str) -> TokenStream:
        """Map a split into memory (the folder was verified when the handle was made).

        Its fingerprint is that of the tokens, not of how they were made, so that the same
        text is read in the same order wherever it was prepared.
        """
        files = Manifest.read(self.path).files
        content = {name: sha for name, (_, sha) in files.items() if name.startswith(split)}
        return open_stream(self.path, split=split, fingerprint=digest(content))

    def canaries(self) -> CanarySet | None:
        """The canaries in the train split; None where none were asked for."""
        return CanarySet.read(self.path / CANARIES_FILE)


def write_shards(
    store: ContentStore,
    documents: DocumentSet,
    tokenizer: TokenizerHandle,
    *,
    canaries: CanarySet | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> ShardSet:
    """Encode the train and the tune split into shards.

    Args:
        store: Where the shards go.
        documents: Their train and tune splits.
        tokenizer: Fitted on the train split.
        canaries: To stand among the train documents; None: none.
        on_progress: Told the split, and how many of how many documents of it are done.

    Raises:
        SourceError: If the train split holds no text.
    """
    inputs = {
        "documents": documents.key,
        "tokenizer": tokenizer.key,
        "canaries": canaries.to_json() if canaries else None,
        "code": code_digest(
            "lmcore.data.tokens.canaries",
            "lmcore.data.tokens.npy_writer",
            "lmcore.data.tokens.shards",
            *CODE_MODULES,
        ),
    }

    def make(folder: Path) -> Mapping[str, Any]:
        loaded = tokenizer.load()
        splits = {}
        for split in SPLITS:
            texts = documents.iter_documents(split)
            if on_progress is not None:
                total = int(documents.summary[f"{split}_documents"])
                texts = _counted(texts, functools.partial(_tell, on_progress, split, total))
            if split == "train":
                texts = with_canaries(texts, canaries)
            splits[split] = write_split(folder, split=split, documents=texts, tokenizer=loaded)
        if canaries is not None:
            atomic_write(folder / CANARIES_FILE, json.dumps(canaries.to_json(), indent=1))
        if not splits["train"]["bytes"]:
            raise SourceError(
                "the train split holds no text, so there is nothing to train on; give more text"
                " or lower data.validation_fraction"
            )
        index = {"end_id": loaded.end_id, "vocab_size": loaded.vocab_size, "splits": splits}
        atomic_write(folder / INDEX_FILE, json.dumps(index, indent=1))
        summary: dict[str, Any] = {}
        for split, facts in splits.items():
            for name in ("tokens", "documents", "bytes"):
                summary[f"{split}_{name}"] = facts[name]
        train = splits["train"]
        if canaries is not None:
            summary["canaries"] = len(canaries.pairs)
        return {**summary, "bytes_per_token": train["bytes"] / train["tokens"]}

    return store.build(ShardSet, inputs, make)


def write_split(
    folder: Path,
    *,
    split: str,
    documents: Iterator[Document],
    tokenizer: Tokenizer,
    shard_tokens: int = SHARD_TOKENS,
) -> dict[str, Any]:
    """Write the shards and the index of one split.

    Returns:
        shards: tokens of each file; tokens, documents, bytes: totals of the split;
            spelled_bytes: what the tokens stand for.
    """
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32)
    end = [tokenizer.end_id]
    piece_bytes = np.array([len(piece) for piece in tokenizer.pieces], dtype=np.int64)
    sizes: list[int] = []
    total = num_documents = num_bytes = spelled_bytes = 0
    with contextlib.ExitStack() as stack:
        ends = stack.enter_context(NpyWriter(folder / f"{split}.ends.npy", np.dtype(np.int64)))
        ids = stack.enter_context(NpyWriter(folder / f"{split}.ids.npy", _ID_DTYPE))
        shard: NpyWriter | None = None
        for batch in _batches(documents):
            for document, tokens in zip(
                batch, tokenizer.encode_batch([document.text for document in batch]), strict=True
            ):
                array = np.array(tokens + end, dtype=dtype)
                spelled_bytes += int(piece_bytes[array].sum())
                while len(array):
                    if shard is None or sizes[-1] == shard_tokens:
                        if shard is not None:
                            shard.__exit__()
                        path = folder / f"{split}-{len(sizes):05d}.npy"
                        shard = stack.enter_context(NpyWriter(path, dtype))
                        sizes.append(0)
                    part = array[: shard_tokens - sizes[-1]]
                    shard.append(part)
                    sizes[-1] += len(part)
                    total += len(part)
                    array = array[len(part) :]
                num_documents += 1
                num_bytes += document.num_bytes
                ends.append(np.array([total], dtype=np.int64))
                ids.append(np.array([document.id.encode()], dtype=_ID_DTYPE))
    return {
        "shards": sizes,
        "tokens": total,
        "documents": num_documents,
        "bytes": num_bytes,
        "spelled_bytes": spelled_bytes,
    }


def _tell(on_progress: Callable[[str, int, int], None], split: str, total: int, done: int) -> None:
    on_progress(split, done, total)


def _counted(documents: Iterator[Document], tell: Callable[[int], None]) -> Iterator[Document]:
    for number, document in enumerate(documents):
        if number % _REPORT_EVERY == 0:
            tell(number)
        yield document


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


def _batches(documents: Iterator[Document]) -> Iterator[Sequence[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
