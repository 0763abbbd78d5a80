"""The train step: shards and configuration in, a `Checkpoint` out.

Resume state lives outside the content store, in `work_dir/<key>`: first the plan, then
resume points. The same call goes on from there after a crash, and clears it
away once the checkpoint stands.

`carry_out` does the work: here, or on each of the processes that `launch` starts.
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
from lmcore.data.batches import BatchOrder, Layout, plan_layout
from lmcore.data.shards import ShardSet, TokenStream
from lmcore.data.tokenizer import Tokenizer, TokenizerHandle
from lmcore.errors import ConfigError, IntegrityError
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import (
    WEIGHTS_FILE,
    RecurrentAttentionLM,
    load_model,
    save_model,
)
from lmcore.training.checkpoint import (
    CONSUMED_FILE,
    LOG_FILE,
    PLAN_FILE,
    Checkpoint,
    Consumed,
    read_plan,
)
from lmcore.training.config import HOW_IT_IS_RUN, TrainingConfig
from lmcore.training.distributed import ALONE, World
from lmcore.training.events import Listener, TrainingEvent
from lmcore.training.launch_files import Job
from lmcore.training.launcher import launch
from lmcore.training.loop import POINTS_FOLDER, Trained, TrainingLoop
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
    initial: Path | None = None,
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
        initial: Folder of a model of this shape whose weights are the start; None: random ones.
        on_event: Is told what happens.
        should_stop: Asked before each step.

    Returns:
        The checkpoint. Its summary: steps, best_step, tokens_seen, epochs_seen,
        train_tokens_per_second, params, train_seconds, tune_bits_per_byte and
        final_tune_bits_per_byte (None without tune text), weights_sha256 (of the best
        weights), final_weights_sha256, precision, dropout, weight_decay, stopped_early,
        recoveries.

    Raises:
        ConfigError: If the device is not there, the processes cannot share the lanes, or
            `training.start` is champion and there are no weights to start from.
        SourceError: If there is too little text.
        TrainingInterrupted: If asked to stop; the same call goes on.
        TrainingError: If the loss diverges twice, or a process fails or takes too long.
    """
    inputs = {
        "shards": shards.key,
        "tokenizer": tokenizer.key,
        "model": model.model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude=set(HOW_IT_IS_RUN)),
        "replay": None if replay is None else replay.model_dump(mode="json"),
        "code": code_digest(*CODE_MODULES),
        "nonce": nonce,
    }
    if initial is not None:
        inputs["initial"] = sha256_file(initial / WEIGHTS_FILE)
    elif training.start == "champion":
        raise ConfigError(
            "training.start is champion, but there are no weights to start from; set it to scratch"
        )
    folder = work_dir / store.key(Checkpoint.kind, inputs)[:32]

    if replay is not None and replay.processes != training.processes:
        raise ConfigError(
            f"the recorded plan is for {replay.processes} processes, but training.processes is"
            f" {training.processes}; set it to {replay.processes}"
        )

    def make(output: Path) -> Mapping[str, Any]:
        layout = _layout(shards.stream("train"), training)
        if layout.batch_size % training.processes:
            raise ConfigError(
                f"the train split fills {layout.batch_size} lanes, which"
                f" training.processes={training.processes} cannot share equally; use fewer, or"
                " lower training.sequence_length"
            )
        find_device(training)
        if training.launcher == "local":
            return carry_out(
                output,
                shards=shards,
                tokenizer=tokenizer,
                model=model,
                training=training,
                folder=folder,
                replay=replay,
                initial=initial,
                on_event=on_event,
                should_stop=should_stop,
            )
        job = Job(
            shards=shards.path,
            shards_key=shards.key,
            tokenizer=tokenizer.path,
            tokenizer_key=tokenizer.key,
            model=model,
            training=training,
            replay=replay,
            initial=initial,
            folder=folder,
            output=output,
            threads=max(1, torch.get_num_threads() // training.processes),
        )
        return launch(job, on_event=on_event, should_stop=should_stop)

    checkpoint = store.build(Checkpoint, inputs, make)
    shutil.rmtree(folder, ignore_errors=True)
    return checkpoint


def carry_out(
    output: Path,
    *,
    shards: ShardSet,
    tokenizer: TokenizerHandle,
    model: ModelConfig,
    training: TrainingConfig,
    folder: Path,
    replay: Plan | None,
    initial: Path | None = None,
    on_event: Listener | None = None,
    should_stop: Callable[[], bool] | None = None,
    world: World = ALONE,
) -> Mapping[str, Any]:
    """Plan, train and fill the folder of a checkpoint, alone or as one rank of many.

    Args:
        output: Filled by rank 0.
        shards: See `train`, as for the others.
        tokenizer: The tokenizer.
        model: Shape.
        training: Budget and optimization.
        folder: Plan and resume points of this run.
        replay: A plan to follow.
        initial: See `train`.
        on_event: Rank 0's listener.
        should_stop: Rank 0's question.
        world: The ranks.

    Returns:
        The summary; empty on the other ranks.
    """
    run = _Run(
        shards=shards,
        tokenizer=tokenizer.load(),
        model=model,
        training=training,
        folder=folder,
        initial=initial,
        on_event=on_event,
        world=world,
    )
    plan = run.plan(replay)
    with _threads(plan.threads):
        trained = run.loop(plan, should_stop).run()
    return run.publish(output, plan, trained) if world.leads else {}


class _Run:
    """One call of `carry_out`."""

    def __init__(
        self,
        *,
        shards: ShardSet,
        tokenizer: Tokenizer,
        model: ModelConfig,
        training: TrainingConfig,
        folder: Path,
        initial: Path | None,
        on_event: Listener | None,
        world: World,
    ) -> None:
        self.world = world
        self.initial = initial
        self.started = time.perf_counter()
        self.model, self.training, self.folder = model, training, folder
        self.on_event = on_event or (lambda _: None)
        self.tokenizer = tokenizer
        self.stream, self.tune = shards.stream("train"), shards.stream("tune")
        self.layout = _layout(self.stream, training)
        self.order = BatchOrder(stream=self.stream, layout=self.layout, seed=training.seed)
        self.piece_bytes = np.array([len(piece) for piece in tokenizer.pieces], dtype=np.int64)
        folder.mkdir(parents=True, exist_ok=True)

    def plan(self, replay: Plan | None) -> Plan:
        """The recorded plan, or a new one, recorded before anything else is done.

        Rank 0's on every rank; a probe is done by all of them together.
        """
        plan = self._recorded() if self.world.leads else None
        if not self.world.agree(plan is not None):
            plan = replay or self._probed()
            if self.world.leads:
                self._record(plan)
        if self.world.size == 1:
            assert plan is not None
            return plan
        text = plan.model_dump_json() if plan is not None else ""
        return Plan.model_validate_json(self.world.agree_text(text))

    def _recorded(self) -> Plan | None:
        path = self.folder / PLAN_FILE
        if not path.exists():
            return None
        try:
            return read_plan(path)
        except IntegrityError as error:
            # Without its plan no resume point can be continued bit for bit.
            logger.warning("training starts over: %s", error)
            path.unlink()
            shutil.rmtree(self.folder / POINTS_FOLDER, ignore_errors=True)
            return None

    def _record(self, plan: Plan) -> None:
        atomic_write(self.folder / PLAN_FILE, plan.model_dump_json(indent=1))
        where = f"{plan.threads} threads"
        if plan.processes > 1:
            where = f"{plan.processes} processes of {where}"
        message = (
            f"{plan.steps} steps of {plan.tokens_per_step} tokens ({plan.epochs:.2f} epochs) in"
            f" {plan.precision} on {where}, about"
            f" {plan.tokens_per_second:.0f} tokens per second"
        )
        values = {"epochs": plan.epochs, "tokens_per_second": plan.tokens_per_second}
        self.on_event(
            TrainingEvent(kind="plan", step=0, steps=plan.steps, values=values, message=message)
        )

    def _probed(self) -> Plan:
        training = self.training
        device = find_device(training)
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
            world=self.world,
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
            processes=self.world.size,
        )

    def new_model(self, dropout: float, device: str) -> RecurrentAttentionLM:
        made = new_model(
            self.model.model_copy(update={"dropout": dropout}),
            vocab_size=self.tokenizer.vocab_size,
            end_id=self.tokenizer.end_id,
            seed=self.training.seed,
            device=device,
        )
        if self.initial is not None:
            made.load_state_dict(load_model(self.initial, device).state_dict())
        return made

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
            world=self.world,
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
            "weight_decay": plan.weight_decay,
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


def _layout(stream: TokenStream, training: TrainingConfig) -> Layout:
    return plan_layout(
        len(stream), batch_size=training.batch_size, sequence_length=training.sequence_length
    )


def find_device(training: TrainingConfig) -> str:
    """The device to train on: `cpu` or `cuda`.

    Raises:
        ConfigError: If there is none, or not one for each process.
    """
    if training.device == "cpu":
        return "cpu"
    if not torch.cuda.is_available():
        if training.device == "auto":
            return "cpu"
        raise ConfigError(
            "training.device is cuda, but torch finds no CUDA device here; use auto or cpu"
        )
    if training.processes > torch.cuda.device_count():
        raise ConfigError(
            f"training.processes={training.processes}, but torch finds"
            f" {torch.cuda.device_count()} CUDA devices here, one for each process; lower it, or"
            " set training.device to cpu"
        )
    return "cuda"


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Run with the plan's number of threads: sums, and so bits, depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
