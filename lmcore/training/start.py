"""Where a training begins: from random weights, or from those of the model in use.

In: what the champion was made of, and today's documents.  Out: a reason why the champion's weights
may not be gone on from, or none.

Going on is sound only where the version that comes out can answer for all that its weights and its
tokenizer have met.  So every document that the champion learnt from must be in today's training
text.  Then its tokenizer was fitted on a part of today's train split, as a tokenizer that is fitted
on a sample is; nothing that is held out today has been learnt; the lineage of the new version names
everything, whatever the champion itself went on from; and a document that was forgotten, or whose
source was taken away, makes the training start over instead of staying in the weights.

By the same argument a training from random weights may keep the champion's tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmcore.data.config import TokenizerConfig
from lmcore.model.config import AnyModelConfig, PretrainedConfig
from lmcore.model.pretrained.base import Base
from lmcore.training.config import Origin

# Sides that weights are chosen by; what was held out stays held out, and is no concern.
_LEARNT_FROM = ("train", "tune")
# The side that a tokenizer is fitted on.
_FITTED_ON = ("train",)


@dataclass(frozen=True, kw_only=True)
class KeptTokenizer:
    """A tokenizer that was fitted for an earlier version and still fits.

    Attributes:
        version: The version.
        reason: Why it is kept, in words.
    """

    version: int
    reason: str

    def to_json(self) -> dict[str, Any]:
        """What the lineage of a version keeps of it."""
        return {"version": self.version, "reason": self.reason}


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a training begins.

    Attributes:
        origin: `champion` or `scratch`.
        reason: One sentence: why.
        version: Version that is gone on from.
        weights_sha256: Of its weights.
        model: Folder of its weights; None for `scratch`.
        tokenizer: Folder of the tokenizer that is kept; None: one is fitted.
        kept: Whose it is, and why, where the weights are random; None otherwise.
        canaries: Random texts that the weights have met and must never emit.
        pretrained: The model that everything begins with; None: random weights.
    """

    origin: Origin
    reason: str
    version: int | None = None
    weights_sha256: str | None = None
    model: Path | None = None
    tokenizer: Path | None = None
    kept: KeptTokenizer | None = None
    canaries: tuple[str, ...] = ()
    pretrained: Base | None = None

    def to_json(self) -> dict[str, Any]:
        """What the lineage of a version keeps of it."""
        return {
            "origin": self.origin,
            "reason": self.reason,
            "version": self.version,
            "weights": self.weights_sha256,
            **({"tokenizer": self.kept.to_json()} if self.kept else {}),
            **({"pretrained": self.pretrained.lineage()} if self.pretrained else {}),
        }


def from_scratch(reason: str) -> Start:
    """A training that begins with random weights."""
    return Start(origin="scratch", reason=reason)


def _begun(base: Base | None) -> str:
    return "random weights" if base is None else f"a pretrained model ({base.record().name})"


def _shape(model: AnyModelConfig) -> object:
    """What weights fit to: dropout has none, and where a pretrained model lay is no part of it."""
    if isinstance(model, PretrainedConfig):
        return model.adapt, model.rank, model.context
    return model.model_copy(update={"dropout": None})


def objection(
    *,
    tokenizer: tuple[TokenizerConfig, TokenizerConfig],
    model: tuple[AnyModelConfig, AnyModelConfig],
    learnt: Iterable[Mapping[str, Any]],
    today: Iterable[Mapping[str, Any]],
    pretrained: tuple[Base | None, Base | None] = (None, None),
) -> str | None:
    """Why the champion's weights may not be gone on from; None where they may.

    Args:
        tokenizer: Configuration of the champion's tokenizer, and the one that is wanted.
        model: Shape of the champion, and the one that is wanted.
        learnt: Lineage rows of the champion's documents: `id`, `split`, `name`.
        today: Rows of the documents to train on: `id`, `split`.
        pretrained: What the champion began with, and what is wanted; each may be random weights.
    """
    then, now = pretrained
    if then is None or now is None:
        if then is not now:
            return f"it began with {_begun(then)}, and the configuration asks for {_begun(now)}"
        if tokenizer[0] != tokenizer[1]:
            return _OTHERWISE
    elif then.substance() != now.substance():
        return f"it began with another pretrained model ({then.record().name})"
    if _shape(model[0]) != _shape(model[1]):
        return "it has another shape"
    gone = _gone(learnt, today, sides=_LEARNT_FROM)
    return None if gone is None else f"{gone}, and would stay in the weights"


def objection_to_tokenizer(
    *,
    tokenizer: tuple[TokenizerConfig, TokenizerConfig],
    learnt: Iterable[Mapping[str, Any]],
    today: Iterable[Mapping[str, Any]],
    pretrained: Base | None = None,
) -> str | None:
    """Why the champion's tokenizer may not be kept, however it fits; None where it may.

    Args:
        tokenizer: How it was configured, and how one is wanted.
        learnt: Lineage rows of the champion's documents: `id`, `split`, `name`.
        today: Rows of the documents to train on: `id`, `split`.
        pretrained: What the champion began with.
    """
    if pretrained is not None:
        return f"it began with {_begun(pretrained)}"
    if tokenizer[0] != tokenizer[1]:
        return _OTHERWISE
    return _gone(learnt, today, sides=_FITTED_ON)


_OTHERWISE = "its tokenizer is configured otherwise"


def _gone(
    learnt: Iterable[Mapping[str, Any]],
    today: Iterable[Mapping[str, Any]],
    *,
    sides: tuple[str, ...],
) -> str | None:
    """What of some sides then is not on the same side today; None: nothing."""
    now = {row["id"]: row["split"] for row in today}
    mine = [row for row in learnt if row["split"] in sides]
    missing = [row for row in mine if now.get(row["id"]) != row["split"]]
    if not missing:
        return None
    return (
        f"{len(missing):,} of the {len(mine):,} documents that it learnt from (the first:"
        f" {missing[0]['name']}) are no longer in the training text"
    )
