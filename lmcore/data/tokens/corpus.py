"""What a model is trained and judged on, as one value: documents, their tokenizer, their tokens.

The three are content folders that were made of one another, so they go through training,
evaluation and registration together.  A corpus holds handles and is small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from lmcore.content_store import ContentStore
from lmcore.data.documents import DocumentSet
from lmcore.data.tokens.canaries import CanarySet
from lmcore.data.tokens.shards import ShardSet, write_shards
from lmcore.data.tokens.token_stream import TokenStream
from lmcore.data.tokens.tokenizer import Tokenizer, TokenizerHandle


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Documents, the tokenizer that cuts them, and what it cut.

    Attributes:
        documents: All splits.
        tokenizer: Fitted on their train split, or taken over from another model.
        shards: Tokens of their train and tune splits.
    """

    documents: DocumentSet
    tokenizer: TokenizerHandle
    shards: ShardSet

    @cached_property
    def loaded(self) -> Tokenizer:
        """The tokenizer itself, read from its folder."""
        return self.tokenizer.load()

    @property
    def train_stream(self) -> TokenStream:
        """Tokens to train on."""
        return self.shards.stream("train")

    @property
    def tune_stream(self) -> TokenStream:
        """Tokens that choose the best weights."""
        return self.shards.stream("tune")


def make_corpus(
    store: ContentStore,
    documents: DocumentSet,
    tokenizer: TokenizerHandle,
    *,
    canaries: CanarySet | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Corpus:
    """Cut documents into shards.

    Args:
        store: Where the shards go.
        documents: Their train and tune splits.
        tokenizer: Fitted on the train split.
        canaries: To stand among the train documents; None: none.
        on_progress: Told the split, and how many of how many documents of it are done.

    Raises:
        SourceError: If the train split holds no text.
    """
    shards = write_shards(store, documents, tokenizer, canaries=canaries, on_progress=on_progress)
    return Corpus(documents=documents, tokenizer=tokenizer, shards=shards)
