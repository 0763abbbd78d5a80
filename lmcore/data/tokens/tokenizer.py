"""Text to token ids and back, without loss, for four ways of cutting text (or another model's own).

In: the train documents (to fit on). Out: a folder of JSON, and `Tokenizer`.

Every kind is one idea: **a table of byte strings**. The table holds all 256
single bytes, then longer pieces (characters, words, merges), and last the end
token, whose byte string is empty. So decoding is joining bytes, any text can be
spelled (an unknown word or character falls back to its bytes), lengths in bytes
are a look-up, and a stream of tokens decodes without splitting a character.

The end token separates documents. It is the last id and is known to no encoder,
so no text can produce it, whatever it spells. (Special tokens of the `tokenizers`
library are parsed out of text; hence none is ever registered.)

A model that is gone on from brings a tokenizer of its own, whose end token may be
any id (`lmcore.data.tokens.borrowed`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import tokenizers

from lmcore.content_store import ContentStore, Handle
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens import borrowed
from lmcore.data.tokens.vocabularies import (
    LIBRARY_FILE,
    SCHEMA_VERSION,
    VOCABULARY_FILE,
    WORD_PIECES,
    BpeTokenizer,
    ByteTokenizer,
    CharTokenizer,
    WordTokenizer,
    split_parts,
)
from lmcore.data.tokens.word_cache import Ids, pre_tokenizer
from lmcore.digests import code_digest
from lmcore.errors import IntegrityError, SourceError

if TYPE_CHECKING:
    from lmcore.data.documents import DocumentSet

# As good as 64 MB but for a hundredth of a percent to a tenth, by how many pieces there are
# (docs/experiments.md).
FIT_BYTES = 16 << 20
CODE_MODULES = tuple(
    f"lmcore.data.tokens.{name}"
    for name in (
        "borrowed",
        "borrowed_form",
        "library_form",
        "tokenizer",
        "vocabularies",
        "word_cache",
    )
)


class Tokenizer(Protocol):
    """What every tokenizer offers.

    Attributes:
        kind: `byte`, `char`, `word`, `bpe` or `pretrained`.
        vocab_size: Number of ids, the end token included.
        end_id: Separates documents and stands for no text; the last id of all kinds but
            `pretrained`, which may have it anywhere.
        pieces: Byte string of each id, shape [vocab_size]; empty for the end token.
        unspelled: Ids beside the end token that no text yields, ascending; only `pretrained` has
            some, which may stand between texts.
    """

    kind: str
    vocab_size: int
    end_id: int
    pieces: tuple[bytes, ...]
    unspelled: tuple[int, ...]

    def encode(self, text: str) -> list[int]:
        """Ids of one text, never the end token.

        `decode` gives the text back exactly, but for kind `pretrained`, which may change it.
        """
        ...

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of many texts, on all cores where the kind allows."""
        ...

    def encode_arrays(self, texts: Sequence[str]) -> list[Ids]:
        """The same as arrays, uint32 [tokens of a text]: some kinds never make lists."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Text of any ids; bytes that are not UTF-8 become U+FFFD, end tokens vanish."""
        ...

    def save(self, folder: Path) -> None:
        """Write the tokenizer as JSON files that `load_tokenizer` reads.

        `tokenizer.json` among them is for the bare `tokenizers` library.
        """
        ...


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read a tokenizer that `Tokenizer.save` wrote.

    Raises:
        IntegrityError: If a file is missing, is not JSON, or disagrees with itself.
    """
    path = folder / VOCABULARY_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        kind = record["kind"]
        if record["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {record['schema_version']}; expected 1")
        tokenizer: Tokenizer
        if kind == "bpe":
            path = folder / LIBRARY_FILE
            tokenizer = BpeTokenizer(tokenizers.Tokenizer.from_str(path.read_text("utf-8")))
        elif kind == borrowed.KIND:
            tokenizer = borrowed.read_borrowed(folder, record)
        else:
            tokenizer = _from_pieces(kind, record["pieces"])
        if tokenizer.vocab_size != record["vocab_size"]:
            raise ValueError(
                f"{tokenizer.vocab_size} ids where {VOCABULARY_FILE} says {record['vocab_size']}"
            )
    except IntegrityError:
        raise
    except Exception as error:  # the library raises bare Exception for what it cannot parse
        raise IntegrityError(
            f"{path}: not a tokenizer that can be read ({type(error).__name__}: {error});"
            " nothing was loaded. Restore the file or fit the tokenizer again"
        ) from error
    return tokenizer


class TokenizerHandle(Handle):
    """A fitted tokenizer.

    Summary: kind, vocab_size, fitted_on, split and what was sampled; `adopted` where it was fitted
    earlier, on a part of that split.  The split `base` means that it came with another model.
    """

    kind = "tokenizer"

    def load(self) -> Tokenizer:
        """Read the tokenizer (the folder was verified when the handle was made)."""
        return load_tokenizer(self.path)


def fit_tokenizer(
    store: ContentStore,
    documents: DocumentSet,
    *,
    config: TokenizerConfig,
    with_targets: bool = False,
) -> TokenizerHandle:
    """Fit a tokenizer on the train split only.

    Args:
        store: Where it is kept.
        documents: Their train split.
        config: Kind and size.
        with_targets: On their translations or summaries as well.

    Text beyond 16 MB is sampled by document: those whose id, read as a number, falls in the
    share that fits. The sample depends on nothing else and is recorded in the summary.

    Raises:
        SourceError: If there is no train text.
    """
    total = documents.num_bytes("train")
    if not total:
        raise SourceError(
            "the train split holds no text, so no tokenizer can be fitted; give more text or"
            " lower data.validation_fraction"
        )
    inputs: dict[str, Any] = {
        "documents": documents.key,
        "config": config.model_dump(mode="json"),
        "code": code_digest(*CODE_MODULES),
    }
    if with_targets:
        inputs["with_targets"] = True

    def make(folder: Path) -> Mapping[str, Any]:
        sample = _Sample(documents, share=min(1.0, FIT_BYTES / total), with_targets=with_targets)
        tokenizer = train_tokenizer(sample.texts(), config=config)
        tokenizer.save(folder)
        return {
            "kind": tokenizer.kind,
            "vocab_size": tokenizer.vocab_size,
            "fitted_on": documents.key,
            "split": "train",
            "sampled": sample.share < 1.0,
            "fitted_documents": sample.num_documents,
            "fitted_bytes": sample.num_bytes,
        }

    return store.build(TokenizerHandle, inputs, make)


class _Sample:
    """Deterministic sample of the train documents that counts what passed."""

    def __init__(self, documents: DocumentSet, *, share: float, with_targets: bool) -> None:
        self.documents = documents
        self.share = share
        self.with_targets = with_targets
        self.num_documents = 0
        self.num_bytes = 0

    def texts(self) -> Iterator[str]:
        limit = int(self.share * (1 << 32))
        for document in self.documents.iter_documents("train"):
            # A whole corpus is never sampled; in a sample, the first document is always taken.
            if self.share < 1.0 and self.num_documents and int(document.id[:8], 16) >= limit:
                continue
            self.num_documents += 1
            self.num_bytes += document.num_bytes
            yield document.text
            if self.with_targets and document.target is not None:
                yield document.target


def train_tokenizer(texts: Iterable[str], *, config: TokenizerConfig) -> Tokenizer:
    """Make a tokenizer of the configured kind from a stream of texts.

    `vocab_size` bounds the ids of characters, words and merges, end token included; there are
    always the 256 bytes. Ties in frequency are broken by the piece itself.
    """
    room = max(0, config.vocab_size - 257)
    if config.kind == "byte":
        return ByteTokenizer()
    if config.kind == "char":
        counts = Counter[str]()
        for text in texts:
            counts.update(text)
        return CharTokenizer(_most_frequent(counts, room))
    if config.kind == "word":
        counts = Counter[str]()
        for text in texts:
            counts.update(WORD_PIECES.findall(text))
        return WordTokenizer(_most_frequent(counts, room))
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = pre_tokenizer()
    backend.train_from_iterator(
        (part for text in texts for part in split_parts(text)),
        trainer=tokenizers.trainers.BpeTrainer(
            vocab_size=config.vocab_size - 1,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[],
            show_progress=False,
        ),
    )
    return BpeTokenizer(backend)


def _from_pieces(kind: str, pieces: Sequence[str]) -> Tokenizer:
    if kind == "byte":
        return ByteTokenizer()
    if kind == "char":
        return CharTokenizer(pieces)
    if kind == "word":
        return WordTokenizer(pieces)
    raise ValueError(f"unknown kind {kind!r}")


def _most_frequent(counts: Counter[str], room: int) -> list[str]:
    multibyte = [(piece, count) for piece, count in counts.items() if len(piece.encode()) > 1]
    return [piece for piece, _ in sorted(multibyte, key=lambda item: (-item[1], item[0]))[:room]]
