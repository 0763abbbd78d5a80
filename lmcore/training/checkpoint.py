"""A finished training run as a content folder, and what it read.

best/    model.safetensors, model.json: the weights that the tune split liked best
final/   the same after the last step
log.jsonl, plan.json, consumed.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from lmcore.content_store import Handle
from lmcore.data.tokens.batches import consumed_documents
from lmcore.data.tokens.shards import ShardSet
from lmcore.durable import atomic_write
from lmcore.errors import IntegrityError
from lmcore.model.factory import load_model
from lmcore.model.language_model import LanguageModel
from lmcore.settings import Section
from lmcore.training.plan import Plan

PLAN_FILE = "plan.json"
LOG_FILE = "log.jsonl"
CONSUMED_FILE = "consumed.json"
Which = Literal["best", "final"]


class Consumed(Section):
    """What one set of weights has read of the train split.

    Attributes:
        steps: Steps done.
        tokens: Tokens predicted, repeats counted.
        epochs: Times that the split was read on average.
        ranges: Token ranges [start, stop) of the stream that were predicted, sorted, disjoint.
    """

    steps: int
    tokens: int
    epochs: float
    ranges: list[tuple[int, int]]


class Checkpoint(Handle):
    """A trained model. The summary holds its facts; see `lmcore.training.train.train`."""

    kind = "checkpoint"

    def load(self, which: Which = "best", device: torch.device | str = "cpu") -> LanguageModel:
        """Read the best or the final weights."""
        return load_model(self.path / which, device)

    def plan(self) -> Plan:
        """The plan that was followed; give it to `train` as `replay` to repeat the run."""
        return read_plan(self.path / PLAN_FILE)

    def log(self) -> list[dict[str, Any]]:
        """Lines of the log; `kind` is `step`, `evaluation` or `recovery`."""
        text = (self.path / LOG_FILE).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def consumed(self, which: Which = "best") -> Consumed:
        """What the best or the final weights have read."""
        records = json.loads((self.path / CONSUMED_FILE).read_text(encoding="utf-8"))
        return Consumed.model_validate(records[which])

    def consumed_documents(self, shards: ShardSet, which: Which = "best") -> npt.NDArray[np.bool_]:
        """Which documents of the train split were read at least in part, bool [documents]."""
        return consumed_documents(shards.stream("train"), self.consumed(which).ranges)


def write_plan(folder: Path, plan: Plan) -> None:
    """Record a plan in a folder, whole or not at all."""
    atomic_write(folder / PLAN_FILE, plan.model_dump_json(indent=1))


def read_plan(path: Path) -> Plan:
    """Read a recorded plan.

    Raises:
        IntegrityError: If it is not one.
    """
    try:
        return Plan.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(
            f"{path}: not a training plan ({reason}); delete it to start over"
        ) from error
