"""One short run of a learning-rate sweep: trained, scored by lane, kept without its weights.

In: shards, a configuration and perhaps the plan of an earlier run. Out: a content folder that says
what each lane of the tune text costs, or that the loss diverged. Differences between two such
runs are paired by lane, because how hard the text of a lane is matters more than any rate.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import stdtrit

from lmcore.content_store import ContentStore, Handle
from lmcore.data.tokens.batches import evaluation_batches
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.token_stream import TokenStream
from lmcore.digests import code_digest
from lmcore.durable import atomic_write
from lmcore.errors import TrainingError
from lmcore.model.config import AnyModelConfig
from lmcore.model.language_model import LanguageModel
from lmcore.model.loss import token_nll
from lmcore.model.pretrained.base import Base
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import PLAN_FILE, read_plan
from lmcore.training.config import TrainingConfig
from lmcore.training.plan import Plan
from lmcore.training.train import CODE_MODULES, train

_ERROR_RATE = 0.05
# Logits that are held at a time.
_MOST_LOGITS = 1 << 23
_RESULT_FILE = "result.json"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Bits per byte with one-sided 95 % bounds each, None where a single lane has no spread.

    Attributes:
        value: Over all lanes.
        lower: The truth is above it with probability 0.95.
        upper: The truth is below it with probability 0.95.
        n: Lanes.
    """

    value: float
    lower: float | None
    upper: float | None
    n: int

    def to_json(self) -> dict[str, Any]:
        """The estimate as plain JSON values."""
        return {**self.__dict__, "unit": "bits/byte"}


class SweepRun(Handle):
    """One short run: what it cost to predict each lane of the tune text, or that it diverged.

    Summary: learning_rate, diverged, reason (of the divergence), seconds.
    """

    kind = "sweep-run"

    @cached_property
    def _record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.path / _RESULT_FILE).read_text(encoding="utf-8"))
        return record

    @property
    def learning_rate(self) -> float:
        """The peak of its schedule."""
        return float(self.summary["learning_rate"])

    @property
    def diverged(self) -> bool:
        """Whether the loss exploded; then there are no lanes."""
        return bool(self.summary["diverged"])

    @property
    def plan(self) -> Plan:
        """What was done; the other rates follow it."""
        return Plan.model_validate(self._record["plan"])

    @property
    def lane_bits(self) -> Floats:
        """Bits of each lane's targets, [lanes]."""
        return np.array(self._record["lane_bits"], dtype=np.float64)

    @property
    def lane_bytes(self) -> Floats:
        """UTF-8 bytes of each lane's targets, [lanes]."""
        return np.array(self._record["lane_bytes"], dtype=np.float64)

    def bits_per_byte(self) -> Estimate:
        """Bits per byte of the tune text."""
        return ratio(self.lane_bits, self.lane_bytes)

    def minus(self, other: SweepRun, *, comparisons: int = 1) -> Estimate:
        """Difference in bits per byte, paired by lane; below zero: this rate is better.

        Args:
            other: The run to compare with.
            comparisons: From how many differences this one was picked (Bonferroni).
        """
        assert np.array_equal(self.lane_bytes, other.lane_bytes), "the lanes are the same text"
        return ratio(
            self.lane_bits - other.lane_bits, self.lane_bytes, error_rate=_ERROR_RATE / comparisons
        )


def short_run(
    attempt: Attempt,
    corpus: Corpus,
    *,
    model: AnyModelConfig,
    training: TrainingConfig,
    replay: Plan | None,
    base: Base | None = None,
) -> SweepRun:
    """Train at one rate, or return what that gave before.

    Args:
        attempt: Where it is done and who attends it.
        corpus: Text with the splits train and tune.
        model: Shape of the model.
        training: The short run's configuration.
        replay: The plan to follow; None makes one.
        base: The model that a pretrained one begins with.

    Raises:
        TrainingInterrupted: If asked to stop; the same call goes on.
    """
    inputs = {
        "shards": corpus.shards.key,
        "tokenizer": corpus.tokenizer.key,
        "model": model.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "replay": None if replay is None else replay.model_dump(mode="json"),
        "code": code_digest(*CODE_MODULES),
    }
    if base is not None:
        inputs["base"] = base.key
    # The model itself is of no further use, so it never enters the store.
    scratch = attempt.work_dir / f"sweep-{attempt.store.key(SweepRun.kind, inputs)[:32]}"

    def make(folder: Path) -> Mapping[str, Any]:
        reason = ""
        bits = num_bytes = np.zeros(0)
        seconds = 0.0
        try:
            checkpoint = train(
                replace(attempt, store=ContentStore(scratch / "store"), work_dir=scratch / "runs"),
                corpus,
                model=model,
                training=training,
                replay=replay,
                base=base,
            )
        except TrainingError as error:
            plan = read_plan(next((scratch / "runs").glob(f"*/{PLAN_FILE}")))
            reason = str(error)
        else:
            plan = checkpoint.plan()
            seconds = float(checkpoint.summary["train_seconds"])
            if checkpoint.summary["recoveries"]:
                reason = "the loss diverged, and only half of this rate went on"
            elif not math.isfinite(checkpoint.summary["final_tune_bits_per_byte"] or math.nan):
                reason = "the loss on the tune split is not finite"
            else:
                bits, num_bytes = lane_costs(
                    checkpoint.load("final", plan.device),
                    corpus.tune_stream,
                    plan=plan,
                    pieces=corpus.loaded.pieces,
                )
        record = {
            "plan": plan.model_dump(mode="json"),
            "lane_bits": bits.tolist(),
            "lane_bytes": num_bytes.tolist(),
        }
        atomic_write(folder / _RESULT_FILE, json.dumps(record, allow_nan=False))
        return {
            "learning_rate": training.learning_rate,
            "diverged": bool(reason),
            "reason": reason,
            "seconds": round(seconds, 2),
        }

    found = attempt.store.build(SweepRun, inputs, make)
    shutil.rmtree(scratch, ignore_errors=True)
    return found


@torch.no_grad()
def lane_costs(
    model: LanguageModel, tune: TokenStream, *, plan: Plan, pieces: Sequence[bytes]
) -> tuple[Floats, Floats]:
    """Bits and bytes of each lane of the look at the tune split that the plan prescribes.

    Args:
        model: The model.
        tune: The tune split.
        plan: Says how much is read, and in what shape.
        pieces: Byte string of each token, [V].

    Returns:
        Bits of the targets and bytes of the documents that they stand for, each [lanes].
    """
    device = model.device
    piece_bytes = np.array([len(piece) for piece in pieces], dtype=np.int64)
    nats: list[Floats] = []
    sizes: list[npt.NDArray[np.int64]] = []
    state = None
    for batch in evaluation_batches(
        tune,
        max_tokens=plan.evaluation_tokens,
        batch_size=plan.batch_size,
        sequence_length=plan.sequence_length,
    ):
        state = None if batch.fresh else state
        lanes, length = batch.inputs.shape
        # A large vocabulary is read in pieces of few tokens, so that memory stays bounded.
        width = max(1, _MOST_LOGITS // (lanes * model.vocab_size))
        for start in range(0, length, width):
            piece = slice(start, start + width)
            inputs, targets = (
                torch.from_numpy(np.ascontiguousarray(tokens[:, piece])).to(device)
                for tokens in (batch.inputs, batch.targets)
            )
            logits, state = model(inputs, state)
            nats.append(token_nll(logits, targets).sum(dim=1).double().cpu().numpy())
        sizes.append(piece_bytes[batch.targets].sum(axis=1))
    num_bytes = np.sum(sizes, axis=0).astype(np.float64) * tune.bytes_per_spelled
    return np.sum(nats, axis=0) / math.log(2), num_bytes


def ratio(numerator: Floats, denominator: Floats, *, error_rate: float = _ERROR_RATE) -> Estimate:
    """Ratio of two sums over lanes with its bounds.

    The standard error is that of a ratio of means (Cochran 1977, section 6.4), the bounds are
    Student's t with one degree of freedom less than there are lanes.

    Args:
        numerator: One value a lane, [lanes].
        denominator: Positive sum, [lanes].
        error_rate: Probability that the truth is beyond a bound, for each bound.
    """
    n, total = len(numerator), denominator.sum()
    value = float(numerator.sum() / max(total, 1.0))
    if n < 2:
        return Estimate(value=value, lower=None, upper=None, n=n)
    residuals = numerator - value * denominator
    error = math.sqrt(n / (n - 1) * float(np.square(residuals).sum())) / max(total, 1.0)
    reach = float(stdtrit(n - 1, 1.0 - error_rate)) * error
    return Estimate(value=value, lower=value - reach, upper=value + reach, n=n)
