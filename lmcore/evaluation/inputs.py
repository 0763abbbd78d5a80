"""What the evaluation step is told about the two models that it compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lmcore.artifacts import digest
from lmcore.data.documents import DocumentSet


class ReadRecord(Protocol):
    """What a set of weights has read."""

    @property
    def ranges(self) -> Sequence[tuple[int, int]]:
        """Token ranges [start, stop) of the train stream, sorted and disjoint."""
        ...


class PartInput(Protocol):
    """What is needed of `lmcore.training.trials.parts.PartModel`."""

    @property
    def share(self) -> float:
        """Of the train clusters, below 1."""
        ...

    @property
    def train_bytes(self) -> int:
        """Text that it was trained on."""
        ...

    @property
    def checkpoint(self) -> TrainedModel:
        """The model."""
        ...


class TrainedModel(Protocol):
    """What is needed of `lmcore.training.checkpoint.Checkpoint`."""

    @property
    def key(self) -> str:
        """Hash of all that made it."""
        ...

    @property
    def path(self) -> Path:
        """Folder with `best` and `final` weights."""
        ...

    @property
    def summary(self) -> Mapping[str, Any]:
        """The sha256 of both weights, stopped_early, params, train_tokens_per_second, steps."""
        ...

    def consumed(self) -> ReadRecord:
        """What the best weights have read."""
        ...


@dataclass(frozen=True, kw_only=True)
class ChampionInput:
    """The model in use, as files, and the documents that it has met.

    Attributes:
        version: Registry version.
        weights: Folder that `load_model` reads.
        tokenizer: Folder that `load_tokenizer` reads.
        key: Hash of the weights, or of the version's manifest.
        train_ids: Documents that it was trained or tuned on.
        known_ids: All documents of its data, whatever their split.
        problem: Why it cannot be scored, where that is known beforehand.
        removed: How many of `train_ids` must be forgotten by now: removed since, or near-copies.
    """

    version: int
    weights: Path
    tokenizer: Path
    key: str
    train_ids: AbstractSet[str] = frozenset()
    known_ids: AbstractSet[str] = frozenset()
    problem: str = ""
    removed: int = 0

    def inputs(self, documents: DocumentSet) -> dict[str, Any]:
        """What of it determines an evaluation on these documents, as JSON values."""
        scored = [str(row["id"]) for row in documents.iter_rows("validation")]
        return {
            "version": self.version,
            "key": self.key,
            "trained_on": digest(sorted(i for i in scored if i in self.train_ids)),
            "knew": digest(sorted(i for i in scored if i in self.known_ids)),
            "problem": self.problem,
            "removed": self.removed,
        }
