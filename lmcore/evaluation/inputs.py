"""What the evaluation step is told about the models that it compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lmcore.data.documents import DocumentSet
from lmcore.digests import digest


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


@dataclass(frozen=True, kw_only=True)
class BaseOwnership:
    """Whether the pretrained model that a candidate was made from may be used.

    Attributes:
        name: Short, for people.
        license: SPDX expression, or `unknown`.
        blocked: What the policy blocks it for: `license`, `origin`, both or nothing.
        broken: What does not fit together, in words.
    """

    name: str
    license: str
    blocked: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the evidence of a gate, and the key of an evaluation."""
        return {
            "name": self.name,
            "license": self.license,
            "blocked": list(self.blocked),
            "broken": list(self.broken),
        }


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """A candidate and the models that it is scored beside.

    Attributes:
        checkpoint: The candidate.
        champion: The model in use; None for the first version.
        parts: Models trained on parts of the text, where the advice on more data is wanted.
        unaided: A version of a task that began from random weights, to show what a base model
            brings.
        made_from: Of the pretrained model that the candidate was made from; None: of none.
    """

    checkpoint: TrainedModel
    champion: ChampionInput | None = None
    parts: Sequence[PartInput] = ()
    unaided: ChampionInput | None = None
    made_from: BaseOwnership | None = None

    def inputs(self, documents: DocumentSet) -> dict[str, Any]:
        """What of it determines an evaluation on these documents, as JSON values."""
        return {
            "checkpoint": self.checkpoint.key,
            "champion": None if self.champion is None else self.champion.inputs(documents),
            "parts": [[part.share, part.checkpoint.key] for part in self.parts],
            "unaided": None if self.unaided is None else self.unaided.inputs(documents),
            "made_from": None if self.made_from is None else self.made_from.to_json(),
        }

    @property
    def best(self) -> Path:
        """Folder of the weights that would be promoted."""
        return self.checkpoint.path / "best"

    @property
    def last(self) -> Path | None:
        """Folder of the weights at the end of training; None where they are the best ones."""
        facts = self.checkpoint.summary
        if facts.get("final_weights_sha256") == facts.get("weights_sha256"):
            return None
        return self.checkpoint.path / "final"

    @property
    def stopped_early(self) -> bool:
        """Whether training ended because it had stopped helping."""
        return bool(self.checkpoint.summary.get("stopped_early"))
