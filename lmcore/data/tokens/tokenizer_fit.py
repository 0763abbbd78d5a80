"""Does a tokenizer that was fitted earlier still fit? Bytes a token tell.

In: a tokenizer, and the training text of today, of which it knows some documents.  Out: `Fit`, how
many bytes a token stands for on text that it knows, and on text that is new to it.  Where the
second is much lower, the new text is of another kind (a language, code, another way to write), and
each of its words takes more tokens, more steps and more of what a model can look back on.

A sample of each is enough, as the ratio of two means over a megabyte moves by parts of a percent.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from lmcore.data.documents import Document, DocumentSet
from lmcore.data.tokens.tokenizer import Tokenizer

#: Of each kind of text, in bytes: more is not read.
SAMPLE_BYTES = 1 << 20
#: Less new text than this says nothing about a tokenizer, in bytes.
FEWEST_BYTES = 4_096


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a tokenizer cuts text.

    Attributes:
        known: Bytes a token on text that it knows.
        new: Bytes a token on text that is new to it; None: there is next to none.
        new_bytes: How much new text was read, in bytes.
    """

    known: float
    new: float | None
    new_bytes: int

    def within(self, share: float) -> bool:
        """Whether new text has at most this share fewer bytes a token than known text."""
        return self.new is None or self.new >= (1 - share) * self.known


def fit_of(tokenizer: Tokenizer, documents: DocumentSet, *, known: Container[str]) -> Fit:
    """How a tokenizer cuts the train split.

    Args:
        tokenizer: Fitted earlier.
        documents: Those of today; of each kind the first ones are read.
        known: Ids of those that were in the train split when it was fitted.
    """
    of_known, of_new = _Count(), _Count()
    for document in documents.iter_documents("train"):
        count = of_known if document.id in known else of_new
        if count.num_bytes < SAMPLE_BYTES:
            count.add(tokenizer, document)
        elif min(of_known.num_bytes, of_new.num_bytes) >= SAMPLE_BYTES:
            break
    return Fit(
        known=of_known.bytes_a_token,
        new=of_new.bytes_a_token if of_new.num_bytes >= FEWEST_BYTES else None,
        new_bytes=of_new.num_bytes,
    )


class _Count:
    """Bytes and tokens of some documents."""

    def __init__(self) -> None:
        self.num_bytes = self.num_tokens = 0

    def add(self, tokenizer: Tokenizer, document: Document) -> None:
        """Count a document, or the first part of a long one."""
        text = document.text[:SAMPLE_BYTES]
        self.num_bytes += len(text.encode())
        self.num_tokens += len(tokenizer.encode(text))

    @property
    def bytes_a_token(self) -> float:
        """Zero where nothing was counted."""
        return self.num_bytes / self.num_tokens if self.num_tokens else 0.0
