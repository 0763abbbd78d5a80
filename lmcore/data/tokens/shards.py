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
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from lmcore.content_store import ContentStore, Handle
from lmcore.data.tokens.canaries import CANARIES_FILE, CanarySet, with_canaries
from lmcore.data.tokens.cutting import Cutter, cut_here, cutter_for
from lmcore.data.tokens.known_tokens import (
    ID_DTYPE,
    SUBSTANCE,
    KnownTokens,
    folder_cut_by,
    substance_of,
)
from lmcore.data.tokens.npy_writer import NpyWriter
from lmcore.data.tokens.token_stream import INDEX_FILE, TokenStream, open_stream
from lmcore.data.tokens.tokenizer import CODE_MODULES, Tokenizer, TokenizerHandle
from lmcore.digests import code_digest, digest
from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError, SourceError
from lmcore.manifest import Manifest

if TYPE_CHECKING:
    from lmcore.data.documents import Document, DocumentSet

logger = logging.getLogger(__name__)

SPLITS = ("train", "tune")
SHARD_TOKENS = 1 << 26
_REPORT_EVERY = 100
_BATCH_CHARACTERS = 1 << 20


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
    code = code_digest(
        "lmcore.data.tokens.canaries",
        "lmcore.data.tokens.cutting",
        "lmcore.data.tokens.known_tokens",
        "lmcore.data.id_lookup",
        "lmcore.data.tokens.npy_writer",
        "lmcore.data.tokens.shards",
        "lmcore.data.tokens.token_stream",
        *CODE_MODULES,
    )
    inputs = {
        "documents": documents.key,
        "tokenizer": tokenizer.key,
        "canaries": canaries.to_json() if canaries else None,
        "code": code,
    }
    substance = substance_of(tokenizer)

    def make(folder: Path) -> Mapping[str, Any]:
        loaded = tokenizer.load()
        known = _known(store, substance=substance, code=code)
        new_bytes = documents.num_bytes(*SPLITS) - known.num_bytes
        splits = {}
        with cutter_for(loaded, folder=tokenizer.path, num_bytes=new_bytes) as cutter:
            for split in SPLITS:
                texts = documents.iter_documents(split)
                if on_progress is not None:
                    total = int(documents.summary[f"{split}_documents"])
                    texts = _counted(texts, functools.partial(_tell, on_progress, split, total))
                if split == "train":
                    texts = with_canaries(texts, canaries)
                splits[split] = write_split(
                    folder,
                    split=split,
                    documents=texts,
                    tokenizer=loaded,
                    known=known,
                    cutter=cutter,
                )
        if canaries is not None:
            atomic_write(folder / CANARIES_FILE, json.dumps(canaries.to_json(), indent=1))
        if not splits["train"]["bytes"]:
            raise SourceError(
                "the train split holds no text, so there is nothing to train on; give more text"
                " or lower data.validation_fraction"
            )
        index = {"end_id": loaded.end_id, "vocab_size": loaded.vocab_size, "splits": splits}
        atomic_write(folder / INDEX_FILE, json.dumps(index, indent=1))
        summary: dict[str, Any] = {SUBSTANCE: substance}
        for split, facts in splits.items():
            for name in ("tokens", "documents", "bytes"):
                summary[f"{split}_{name}"] = facts[name]
        train = splits["train"]
        if canaries is not None:
            summary["canaries"] = len(canaries.pairs)
        return {**summary, "bytes_per_token": train["bytes"] / train["tokens"]}

    return store.build(ShardSet, inputs, make)


def _known(store: ContentStore, *, substance: str, code: str) -> KnownTokens:
    """What earlier shards know; a folder that is damaged knows nothing."""
    folder = folder_cut_by(store, ShardSet.kind, substance=substance, code=code)
    if folder is None:
        return KnownTokens()
    try:
        earlier = ShardSet.open(folder)
        return KnownTokens([earlier.stream(split) for split in SPLITS])
    except IntegrityError as error:
        logger.warning("all text is cut into tokens again: %s", error)
        return KnownTokens()


def write_split(
    folder: Path,
    *,
    split: str,
    documents: Iterator[Document],
    tokenizer: Tokenizer,
    known: KnownTokens | None = None,
    cutter: Cutter | None = None,
    shard_tokens: int = SHARD_TOKENS,
) -> dict[str, Any]:
    """Write the shards and the index of one split.

    Args:
        folder: Where they go.
        split: Its name.
        documents: Its texts.
        tokenizer: Cuts them.
        cutter: The same for many of them; None: one after the other, here.
        known: Tokens of documents that need not be cut.
        shard_tokens: Of one file.

    Returns:
        shards: tokens of each file; tokens, documents, bytes: totals of the split;
            spelled_bytes: what the tokens stand for.
    """
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32)
    end = np.array([tokenizer.end_id], dtype=dtype)
    piece_bytes = np.array([len(piece) for piece in tokenizer.pieces], dtype=np.int64)
    total = num_documents = num_bytes = spelled_bytes = 0
    known = known or KnownTokens()
    cutter = cutter or cut_here(tokenizer)
    handed_over: deque[tuple[Sequence[Document], list[npt.NDArray[Any] | None]]] = deque()

    def new_texts() -> Iterator[Sequence[str]]:
        for batch in _batches(documents):
            before = known.find_all([document.id for document in batch])
            handed_over.append((batch, before))
            yield [d.text for d, tokens in zip(batch, before, strict=True) if tokens is None]

    with contextlib.ExitStack() as stack:
        ends = stack.enter_context(NpyWriter(folder / f"{split}.ends.npy", np.dtype(np.int64)))
        ids = stack.enter_context(NpyWriter(folder / f"{split}.ids.npy", ID_DTYPE))
        shards = stack.enter_context(_Shards(folder, split, dtype=dtype, size=shard_tokens))
        for new in map(iter, cutter(new_texts())):
            batch, before = handed_over.popleft()
            arrays = [
                np.concatenate([next(new).astype(dtype), end])
                if tokens is None
                else tokens.astype(dtype)
                for tokens in before
            ]
            joined = np.concatenate(arrays)
            shards.append(joined)
            ends.append(total + np.cumsum([len(array) for array in arrays], dtype=np.int64))
            ids.append(np.array([document.id.encode() for document in batch], dtype=ID_DTYPE))
            spelled_bytes += int(piece_bytes[joined].sum())
            total += len(joined)
            num_documents += len(batch)
            num_bytes += sum(document.num_bytes for document in batch)
    return {
        "shards": shards.sizes,
        "tokens": total,
        "documents": num_documents,
        "bytes": num_bytes,
        "spelled_bytes": spelled_bytes,
    }


class _Shards:
    """Writes tokens into files of so many each.

    Attributes:
        sizes: Tokens of each file.
    """

    def __init__(self, folder: Path, split: str, *, dtype: np.dtype[Any], size: int) -> None:
        self._folder, self._split, self._dtype, self._size = folder, split, dtype, size
        self._file: NpyWriter | None = None
        self.sizes: list[int] = []

    def __enter__(self) -> Self:
        return self

    def append(self, tokens: npt.NDArray[Any]) -> None:
        """Write tokens behind those that are there."""
        while len(tokens):
            if self._file is None or self.sizes[-1] == self._size:
                self.__exit__()
                path = self._folder / f"{self._split}-{len(self.sizes):05d}.npy"
                self._file = NpyWriter(path, self._dtype).__enter__()
                self.sizes.append(0)
            part = tokens[: self._size - self.sizes[-1]]
            self._file.append(part)
            self.sizes[-1] += len(part)
            tokens = tokens[len(part) :]

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.__exit__()
            self._file = None


def _tell(on_progress: Callable[[str, int, int], None], split: str, total: int, done: int) -> None:
    on_progress(split, done, total)


def _counted(documents: Iterator[Document], tell: Callable[[int], None]) -> Iterator[Document]:
    for number, document in enumerate(documents):
        if number % _REPORT_EVERY == 0:
            tell(number)
        yield document


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
