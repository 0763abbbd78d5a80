"""Our side of a comparison: train through the public function, keep weights on the way, score.

Training seconds run from the call of `train` to its return: the probe, the resume points and
the looks at the tune split are in; preparing the text and the import of libraries are not. While
weights are fetched from a resume point for the loss curve, the clock stands still, as nothing is
trained.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

# The first optimizer imports it, which takes two seconds; the peers' clock starts after theirs.
import torch._dynamo
from torch import Tensor

from benchmarks.arithmetic import Window
from lmcore.content_store import ContentStore
from lmcore.data.tokens.corpus import Corpus
from lmcore.model.config import ModelConfig
from lmcore.model.loss import sequence_loss, token_nll
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingEvent
from lmcore.training.resume import ResumeStore
from lmcore.training.train import train

_SCORED_TOKENS = 1 << 14
_CHUNK_TOKENS = 256


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Weights at a moment of the training.

    Attributes:
        seconds: Training seconds so far.
        step: Steps done.
        weights: By name, on the CPU.
    """

    seconds: float
    step: int
    weights: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Training:
    """What one training gave.

    Attributes:
        seconds: See above.
        checkpoint: The result.
        snapshots: In the order of time; empty unless asked for.
    """

    seconds: float
    checkpoint: Checkpoint
    snapshots: list[Snapshot] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """Figures for the record."""
        summary, plan = self.checkpoint.summary, self.checkpoint.plan()
        return {
            "training_seconds": self.seconds,
            "steps": summary["steps"],
            "epochs": summary["epochs_seen"],
            "parameters": summary["params"],
            "tokens_per_second": summary["tokens_seen"] / self.seconds,
            "tokens_per_second_of_steps": summary["train_tokens_per_second"],
            "precision": summary["precision"],
            "dropout": summary["dropout"],
            "threads": plan.threads,
        }


def run(
    store: ContentStore,
    corpus: Corpus,
    *,
    model: ModelConfig,
    training: TrainingConfig,
    work_dir: Path,
    snapshots: bool = False,
) -> Training:
    """Train and time it.

    Args:
        store: Where the checkpoint goes.
        corpus: See `corpora.prepare`.
        model: Shape of the model.
        training: Budget and optimization.
        work_dir: Resume points; of this run alone.
        snapshots: Keep the weights of each resume point.
    """
    kept: list[Snapshot] = []
    stood_still = 0.0
    start = time.perf_counter()

    def listen(event: TrainingEvent) -> None:
        nonlocal stood_still
        if event.kind == "plan":
            print(f"  {event.message}", flush=True)
        if event.kind != "checkpoint" or not snapshots:
            return
        now = time.perf_counter()
        (points,) = work_dir.glob("*/points")
        point = ResumeStore(points).load()
        assert point is not None
        kept.append(
            Snapshot(seconds=now - start - stood_still, step=event.step, weights=point.model)
        )
        stood_still += time.perf_counter() - now

    checkpoint = train(
        Attempt(store=store, work_dir=work_dir, on_event=listen),
        corpus,
        model=model,
        training=training,
    )
    seconds = time.perf_counter() - start - stood_still
    return Training(seconds=seconds, checkpoint=checkpoint, snapshots=kept)


@torch.inference_mode()
def windows_nats(
    model: RecurrentAttentionLM, tokens: Sequence[int], windows: Sequence[Window]
) -> float:
    """Mean loss over the counted targets, each window read alone from the fresh state, float32."""

    def logits(inputs: Tensor, _: Tensor) -> Tensor:
        return model(inputs)[0]

    return mean_nats(logits, tokens, windows, device=model.device)


@torch.inference_mode()
def mean_nats(
    logits: Any, tokens: Sequence[int], windows: Sequence[Window], *, device: torch.device | str
) -> float:
    """Mean loss of any model over the counted targets of independent windows.

    Args:
        logits: Function of inputs and targets [B, T] that gives scores [B, T, V].
        tokens: The text.
        windows: How it is cut; see `cut_windows`.
        device: Where the function expects its inputs.
    """
    array = np.asarray(tokens, dtype=np.int64)
    total, counted = 0.0, 0
    by_length: dict[int, list[Window]] = {}
    for window in windows:
        by_length.setdefault(window.stop - window.start, []).append(window)
    for length, members in by_length.items():
        size = max(1, _SCORED_TOKENS // length)
        for first in range(0, len(members), size):
            group = members[first : first + size]
            rows = np.stack([array[w.start : w.stop + 1] for w in group])
            batch = torch.from_numpy(rows).to(device)
            inputs, targets = batch[:, :-1].contiguous(), batch[:, 1:].contiguous()
            nats = token_nll(logits(inputs, targets), targets).double().cpu()
            for row, window in enumerate(group):
                total += float(nats[row, length - window.counted :].sum())
                counted += window.counted
    return total / counted


@torch.inference_mode()
def stateful_nats(model: RecurrentAttentionLM, tokens: Sequence[int]) -> float:
    """Mean loss over all targets with the state carried over the whole text, float32."""
    device = model.device
    array = torch.tensor(tokens, dtype=torch.long, device=device)[None]
    state, total = None, 0.0
    num_targets = array.shape[1] - 1
    for start in range(0, num_targets, _CHUNK_TOKENS):
        stop = min(start + _CHUNK_TOKENS, num_targets)
        loss = sequence_loss(
            model, array[:, start:stop], array[:, start + 1 : stop + 1], state=state
        )
        state = loss.state
        total += loss.sum_nll.item()
    return total / num_targets
