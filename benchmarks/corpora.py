"""Public text for benchmarks, which lies outside the project, and its way into our shards.

The folder is `LMCORE_SHARED_DATA`, or `../shared/data` beside the checkout; its README.md says
what is there. A program whose text is missing says so and measures nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.recording import ROOT
from lmcore.content_store import ContentStore
from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.corpus import Corpus, make_corpus
from lmcore.data.tokens.tokenizer import TokenizerHandle, train_tokenizer

if TYPE_CHECKING:
    from lmcore.data.documents import Document

TRAIN_SHARE = 0.9


def shared_data() -> Path:
    """Where the public text is expected."""
    return Path(os.environ.get("LMCORE_SHARED_DATA") or ROOT.parent / "shared" / "data")


def find(name: str) -> Path | None:
    """A file of the public text, or None after saying that it is missing."""
    path = shared_data() / name
    if path.is_file():
        return path
    print(
        f"skipped: {path} is not there; set LMCORE_SHARED_DATA to the folder that holds {name}",
        flush=True,
    )
    return None


def characters(path: Path) -> tuple[str, str]:
    """Train and validation text of tinyshakespeare: the first nine tenths and the rest."""
    text = path.read_text(encoding="utf-8")
    cut = int(len(text) * TRAIN_SHARE)
    return text[:cut], text[cut:]


def word_lines(path: Path) -> Iterator[str]:
    """Lines as ` word word ... word` and a line end: one piece a word and one a line end.

    So there is a token for each word between white space and one for each line end, which are
    the tokens that word-level perplexities are published over.
    """
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield "".join(f" {word}" for word in line.split()) + "\n"


def num_word_tokens(path: Path) -> int:
    """Words and line ends of a file, counted without our tokenizer."""
    with path.open(encoding="utf-8") as lines:
        return sum(len(line.split()) + 1 for line in lines)


def document(text: str, *, split: str = "train") -> Document:
    """A document of a benchmark; only its text matters."""
    from lmcore.data.documents import Document

    digest = hashlib.sha256(text.encode()).hexdigest()
    return Document(
        id=digest,
        text=text,
        name="benchmark",
        source=0,
        license="unknown",
        origin="",
        num_bytes=len(text.encode()),
        split=split,
        anchor=False,
        cluster=digest,
    )


def prepare(
    store: ContentStore,
    *,
    train: Sequence[str],
    tune: Sequence[str] = (),
    fit: Iterable[str] | None = None,
    tokenizer: TokenizerConfig,
) -> Corpus:
    """A corpus of given texts, past the ingest, whose split is not the published one.

    Args:
        store: Where it goes.
        train: Documents to train on.
        tune: Documents for the choice of the best weights; never validation text.
        fit: Texts that the vocabulary is made of; None: the train texts.
        tokenizer: How text is cut.
    """
    from lmcore.data.documents import DocumentSet, RowWriter

    fitted_on = list(train if fit is None else fit)
    digest = hashlib.sha256(json.dumps([list(train), list(tune), fitted_on]).encode()).hexdigest()
    inputs = {"benchmark": digest, "config": tokenizer.model_dump(mode="json")}

    def make_documents(folder: Path) -> None:
        with RowWriter(folder) as writer:
            for split, texts in (("train", train), ("tune", tune)):
                for made in (document(text, split=split) for text in texts):
                    writer.add_document(made)

    def make_tokenizer(folder: Path) -> Mapping[str, Any]:
        made = train_tokenizer(fitted_on, config=tokenizer)
        made.save(folder)
        return {"kind": made.kind, "vocab_size": made.vocab_size}

    return make_corpus(
        store,
        store.build(DocumentSet, inputs, make_documents),
        store.build(TokenizerHandle, inputs, make_tokenizer),
    )
