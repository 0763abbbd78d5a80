"""The language model that a task starts from, as files."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmcore.content_store import ContentStore
from lmcore.data.tokens.tokenizer import TokenizerHandle
from lmcore.model.pretrained.base import Base


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """A verified version of a language model.

    Attributes:
        model: Its registered name.
        version: Its number.
        key: Hash of its manifest.
        weights: Folder that `load_model` reads.
        tokenizer: Folder that `load_tokenizer` reads.
        train_ids: Documents that it was trained or tuned on.
        removed: How many of them must be forgotten by now.
        licenses: Bytes by licence of its training text.
    """

    model: str
    version: int
    key: str
    weights: Path
    tokenizer: Path
    train_ids: Set[str] = frozenset()
    removed: int = 0
    licenses: Mapping[str, int] = field(default_factory=dict)

    @property
    def designation(self) -> str:
        """Name and version as a person says them."""
        return f"{self.model} version {self.version}"

    def to_json(self) -> dict[str, Any]:
        """What a version's lineage keeps of it."""
        return {
            "model": self.model,
            "version": self.version,
            "manifest": self.key,
            "licenses": dict(self.licenses),
        }


@dataclass(frozen=True, kw_only=True)
class TaskStart:
    """What a task begins with; random weights where it is neither.

    Attributes:
        base: A registered language model.
        pretrained: An imported model, of which nothing is registered for this.
    """

    base: BaseModel | None = None
    pretrained: Base | None = None


def adopt_tokenizer(store: ContentStore, base: BaseModel) -> TokenizerHandle:
    """The tokenizer of the base model: its weights mean nothing under another one."""

    def make(folder: Path) -> Mapping[str, Any]:
        from lmcore.data.tokens.borrowing import split_of
        from lmcore.data.tokens.tokenizer import load_tokenizer

        tokenizer = load_tokenizer(base.tokenizer)
        tokenizer.save(folder)
        return {
            "kind": tokenizer.kind,
            "vocab_size": tokenizer.vocab_size,
            "fitted_on": base.designation,
            "split": split_of(tokenizer),
        }

    return store.build(TokenizerHandle, {"base": base.key}, make)
