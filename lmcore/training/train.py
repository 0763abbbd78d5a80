"""The train step: shards and configuration in, a `Checkpoint` out.

Resume state lives outside the content store, in `work_dir/<key>`: first the plan, then
resume points. The same call goes on from there after a crash, and clears it
away once the checkpoint stands.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lmcore.artifacts import ContentStore, atomic_write, code_digest, sha256_file
from lmcore.data.batches import BatchOrder, plan_layout
from lmcore.data.shards import ShardSet
from lmcore.data.tokenizer import Tokenizer, TokenizerHandle
from lmcore.errors import ConfigError, IntegrityError
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import WEIGHTS_FILE, RecurrentAttentionLM, save_model
from lmcore.training.checkpoint import (
    CONSUMED_FILE,
    LOG_FILE,
    PLAN_FILE,
    Checkpoint,
    Consumed,
    read_plan,
)
from lmcore.training.config import TrainingConfig
from lmcore.training.events import Listener, TrainingEvent
from lmcore.training.loop import Trained, TrainingLoop
from lmcore.training.plan import Plan, Speed, make_plan
from lmcore.training.probe import probe
from lmcore.training.step import new_model

logger = logging.getLogger(__name__)

CODE_MODULES = (
    "lmcore.data.batches",
    "lmcore.data.shards",
    "lmcore.model",
    "lmcore.training",
)
# Share of a budget for the probe, within bounds in seconds.
_PROBE_SHARE = 0.03
_PROBE_SECONDS = (0.2, 5.0)


def train(
    store: ContentStore,
    *,
    shards: ShardSet,
    tokenizer: TokenizerHandle,
    model: ModelConfig,
    training: TrainingConfig,
    work_dir: Path,
    nonce: int = 0,
    replay: Plan | None = None,
    on_event: Listener | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Checkpoint:
    """Train a model, or return the one that these inputs made before.

    Args:
        store: Where the checkpoint goes.
        shards: Token shards with the splits train and tune.
        tokenizer: The tokenizer that made them.
        model: Shape of the model.
        training: Budget and optimization.
        work_dir: Holds the resume state of runs that are not finished.
        nonce: Part of the key; another value trains again.
        replay: A recorded plan to follow instead of probing this machine.
        on_event: Is told what happens.
        should_stop: Asked before each step.

    Returns:
        The checkpoint. Its summary: steps, best_step, tokens_seen, epochs_seen,
        train_tokens_per_second, params, train_seconds, tune_bits_per_byte and
        final_tune_bits_per_byte (None without tune text), weights_sha256 (of the best
        weights), final_weights_sha256, precision, dropout, stopped_early, recoveries.

    Raises:
        ConfigError: If the device is not there.
        SourceError: If there is too little text.
        TrainingInterrupted: If asked to stop; the same call goes on.
        TrainingError: If the loss diverges twice.
    """
    inputs = {
        "shards": shards.key,
        "tokenizer": tokenizer.key,
        "model": model.model_dump(mode="json"),
        "training": training.model_dump(mode="json"),
        "replay": None if replay is None else replay.model_dump(mode="json"),
        "code": code_digest(*CODE_MODULES),
        "nonce": nonce,
    }
    folder = work_dir / store.key(Checkpoint.kind, inputs)[:32]

    def make(output: Path) -> Mapping[str, Any]:
        run = _Run(
            shards=shards,
            tokenizer=tokenizer.load(),
            model=model,
            training=training,
            folder=folder,
            on_event=on_event,
        )
        plan = run.plan(replay)
        with _threads(plan.threads):
            trained = run.loop(plan, should_stop).run()
        return run.publish(output, plan, trained)

    checkpoint = store.build(Checkpoint, inputs, make)
    shutil.rmtree(folder, ignore_errors=True)
    return checkpoint


class _Run:
    """One call of `train` whose result does not exist yet."""

    def __init__(
        self,
        *,
        shards: ShardSet,
        tokenizer: Tokenizer,
        model: ModelConfig,
        training: TrainingConfig,
        folder: Path,
        on_event: Listener | None,
    ) -> None:
        self.started = time.perf_counter()
        self.model, self.training, self.folder = model, training, folder
        self.on_event = on_event or (lambda _: None)
        self.tokenizer = tokenizer
        self.stream, self.tune = shards.stream("train"), shards.stream("tune")
        self.layout = plan_layout(
            len(self.stream),
            batch_size=training.batch_size,
            sequence_length=training.sequence_length,
        )
        self.order = BatchOrder(stream=self.stream, layout=self.layout, seed=training.seed)
        self.piece_bytes = np.array([len(piece) for piece in tokenizer.pieces], dtype=np.int64)
        folder.mkdir(parents=True, exist_ok=True)

    def plan(self, replay: Plan | None) -> Plan:
        """The recorded plan, or a new one, recorded before anything else is done."""
        path = self.folder / PLAN_FILE
        if path.exists():
            try:
                return read_plan(path)
            except IntegrityError as error:
                # Without its plan no resume point can be continued bit for bit.
                logger.warning("training starts over: %s", error)
                shutil.rmtree(self.folder)
                self.folder.mkdir(parents=True)
        plan = replay or self._probed()
        atomic_write(path, plan.model_dump_json(indent=1))
        message = (
            f"{plan.steps} steps of {plan.tokens_per_step} tokens ({plan.epochs:.2f} epochs) in"
            f" {plan.precision} on {plan.threads} threads, about"
            f" {plan.tokens_per_second:.0f} tokens per second"
        )
        values = {"epochs": plan.epochs, "tokens_per_second": plan.tokens_per_second}
        self.on_event(
            TrainingEvent(kind="plan", step=0, steps=plan.steps, values=values, message=message)
        )
        return plan

    def _probed(self) -> Plan:
        training = self.training
        device = _device(training)
        budget = training.budget_seconds or 0.0
        shortest, longest = _PROBE_SECONDS
        seconds = min(longest, max(shortest, _PROBE_SHARE * budget))
        measured = probe(
            lambda: self.new_model(self.model.dropout or 0.0, device),
            order=self.order,
            piece_bytes=self.piece_bytes,
            training=training,
            folder=self.folder / "probe",
            seconds=seconds if training.budget_seconds else shortest,
        )
        return make_plan(
            training,
            layout=self.layout,
            tune_tokens=len(self.tune) if len(self.tune) > 1 else 0,
            dropout=self.model.dropout,
            speed=Speed(
                step=measured.step,
                evaluation_step=measured.evaluation_step,
                save=measured.save,
                elapsed=time.perf_counter() - self.started,
            ),
            precision=measured.precision,
            device=device,
            threads=measured.threads,
        )

    def new_model(self, dropout: float, device: str) -> RecurrentAttentionLM:
        return new_model(
            self.model.model_copy(update={"dropout": dropout}),
            vocab_size=self.tokenizer.vocab_size,
            end_id=self.tokenizer.end_id,
            seed=self.training.seed,
            device=device,
        )

    def loop(self, plan: Plan, should_stop: Callable[[], bool] | None) -> TrainingLoop:
        return TrainingLoop(
            plan=plan,
            training=self.training,
            new_model=lambda: self.new_model(plan.dropout, plan.device),
            order=self.order,
            tune=self.tune,
            piece_bytes=self.piece_bytes,
            folder=self.folder,
            on_event=self.on_event,
            should_stop=should_stop,
        )

    def publish(self, output: Path, plan: Plan, trained: Trained) -> Mapping[str, Any]:
        """Fill the checkpoint's folder; returns its summary."""
        progress = trained.progress
        for name in ("final", "best"):
            if name == "best":
                trained.model.load_state_dict(trained.best)
            (output / name).mkdir()
            save_model(trained.model, output / name)
        atomic_write(output / LOG_FILE, trained.log)
        atomic_write(output / PLAN_FILE, plan.model_dump_json(indent=1))
        best_step = progress.best_step if progress.best_step >= 0 else progress.step
        consumed = {
            name: self._consumed(steps).model_dump(mode="json")
            for name, steps in (("best", best_step), ("final", progress.step))
        }
        atomic_write(output / CONSUMED_FILE, json.dumps(consumed))
        tokens = progress.step * plan.tokens_per_step
        return {
            "steps": progress.step,
            "best_step": best_step,
            "tokens_seen": tokens,
            "epochs_seen": tokens / len(self.stream),
            "train_tokens_per_second": tokens / max(progress.step_seconds, 1e-9),
            "params": trained.model.num_parameters,
            "train_seconds": progress.seconds,
            "tune_bits_per_byte": progress.best_bits_per_byte,
            "final_tune_bits_per_byte": progress.last_bits_per_byte,
            "weights_sha256": sha256_file(output / "best" / WEIGHTS_FILE),
            "final_weights_sha256": sha256_file(output / "final" / WEIGHTS_FILE),
            "precision": plan.precision,
            "dropout": plan.dropout,
            "stopped_early": progress.stopped_early,
            "recoveries": progress.recoveries,
        }

    def _consumed(self, steps: int) -> Consumed:
        tokens = steps * self.layout.tokens_per_step
        return Consumed(
            steps=steps,
            tokens=tokens,
            epochs=tokens / len(self.stream),
            ranges=self.order.consumed(steps),
        )


def _device(training: TrainingConfig) -> str:
    if training.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "training.device is cuda, but torch finds no CUDA device here; use auto or cpu"
        )
    return training.device


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Run with the plan's number of threads: sums, and so bits, depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
