"""Plan, train and publish: what every kind of training has in common.

In: a `Subject`, which knows its data, its model and its loss. Out: the folder of a checkpoint and
its summary. The plan is recorded before the first step, and each revision of it before a step that
follows it; the same call goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lmcore.counted import counted, named
from lmcore.data.tokens.layout import Layout
from lmcore.digests import sha256_file
from lmcore.durable import atomic_write
from lmcore.errors import ConfigError, IntegrityError
from lmcore.heap import heap_kept
from lmcore.model.language_model import WEIGHTS_FILE, restore
from lmcore.training.checkpoint import (
    CONSUMED_FILE,
    LOG_FILE,
    PLAN_FILE,
    Consumed,
    read_plan,
    write_plan,
)
from lmcore.training.config import TrainingConfig
from lmcore.training.distributed import ALONE, World
from lmcore.training.events import Listener, TrainingEvent, TrainingInterrupted
from lmcore.training.leaving import LeftError
from lmcore.training.loop import POINTS_FOLDER, Trained, TrainingLoop
from lmcore.training.objective import Objective
from lmcore.training.plan import Plan, make_plan
from lmcore.training.probe import probe

logger = logging.getLogger(__name__)

# Share of a budget for the probe, within bounds in seconds.
_PROBE_SHARE = 0.03
_PROBE_SECONDS = (0.2, 5.0)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is trained.

    Attributes:
        objective: Batches, loss and looks.
        layout: How many steps and tokens an epoch has.
        tune_tokens: Tokens that a look may read; 0: there are none.
        dropout: Configured; None chooses by the epochs that will be seen.
        new_model: Makes the model to start from, given a dropout and a device; always the same.
        save: Writes the files of a model into an existing folder.
        consumed: What so many steps have read.
        started: When loading it began, by `time.perf_counter`; a budget counts from there.
    """

    objective: Objective
    layout: Layout
    tune_tokens: int
    dropout: float | None
    new_model: Callable[[float, str], nn.Module]
    save: Callable[[nn.Module, Path], None]
    consumed: Callable[[int], Consumed]
    started: float


def follow(
    output: Path,
    subject: Subject,
    *,
    training: TrainingConfig,
    folder: Path,
    replay: Plan | None,
    on_event: Listener | None = None,
    should_stop: Callable[[], bool] | None = None,
    world: World = ALONE,
) -> Mapping[str, Any]:
    """Plan, train and fill the folder of a checkpoint, alone or as one rank of many.

    Args:
        output: Filled by rank 0.
        subject: What is trained.
        training: Budget and optimization.
        folder: Plan and resume points of this run.
        replay: A plan to follow.
        on_event: Rank 0's listener.
        should_stop: Rank 0's question.
        world: The ranks.

    Returns:
        The summary; empty on the other ranks.
    """
    run = _Run(
        subject,
        training=training,
        folder=folder,
        on_event=on_event,
        should_stop=should_stop,
        world=world,
    )
    with heap_kept():
        plan = run.plan(replay)
        with _threads(plan.threads):
            trained = run.loop(plan).run()
    return run.publish(output, trained) if world.leads else {}


class _Run:
    """One call of `follow`."""

    def __init__(
        self,
        subject: Subject,
        *,
        training: TrainingConfig,
        folder: Path,
        on_event: Listener | None,
        should_stop: Callable[[], bool] | None,
        world: World,
    ) -> None:
        self.world = world
        self.should_stop = should_stop or (lambda: False)
        self.subject, self.training, self.folder = subject, training, folder
        self.on_event = on_event or (lambda _: None)
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
        write_plan(self.folder, plan)
        where = counted(plan.threads, "thread")
        if plan.processes > 1:
            where = f"{plan.processes} processes of {where}"
        message = (
            f"{plan.steps} {named(plan.steps, 'step')} of {plan.tokens_per_step} tokens"
            f" ({plan.epochs:.2f} epochs) in"
            f" {plan.precision} on {where}, about"
            f" {plan.tokens_per_second:.0f} tokens per second"
        )
        values = {"epochs": plan.epochs, "tokens_per_second": plan.tokens_per_second}
        self.on_event(
            TrainingEvent(kind="plan", step=0, steps=plan.steps, values=values, message=message)
        )

    def _probed(self) -> Plan:
        training, subject = self.training, self.subject
        device = find_device(training)
        budget = training.budget_seconds or 0.0
        shortest, longest = _PROBE_SECONDS
        seconds = min(longest, max(shortest, _PROBE_SHARE * budget))
        try:
            machine = probe(
                lambda: self._new_model(subject.dropout or 0.0, device),
                objective=subject.objective,
                num_lanes=subject.layout.batch_size,
                training=training,
                folder=self.folder / "probe",
                seconds=seconds if training.budget_seconds else shortest,
                should_stop=self.should_stop,
                world=self.world,
            )
        except LeftError:
            raise TrainingInterrupted(0, 0, self.folder) from None
        return make_plan(
            training,
            layout=subject.layout,
            tune_tokens=subject.tune_tokens,
            dropout=subject.dropout,
            machine=machine.model_copy(update={"elapsed": time.perf_counter() - subject.started}),
        )

    def _new_model(self, dropout: float, device: str) -> nn.Module:
        """Where it is trained, or whence each rank takes a part of it there."""
        return self.subject.new_model(dropout, device if self.world.parts_on is None else "cpu")

    def loop(self, plan: Plan) -> TrainingLoop:
        return TrainingLoop(
            plan=plan,
            training=self.training,
            new_model=lambda: self._new_model(plan.dropout, plan.device),
            objective=self.subject.objective,
            folder=self.folder,
            on_event=self.on_event,
            should_stop=self.should_stop,
            world=self.world,
        )

    def publish(self, output: Path, trained: Trained) -> Mapping[str, Any]:
        """Fill the checkpoint's folder; returns its summary."""
        progress, plan, key = trained.progress, trained.plan, self.subject.objective.look_key
        in_parts = self.world.parts_on is not None
        model = self.subject.new_model(plan.dropout, "cpu") if in_parts else trained.model
        for name, weights in (("final", trained.final), ("best", trained.best)):
            restore(model, weights)
            (output / name).mkdir()
            self.subject.save(model, output / name)
        atomic_write(output / LOG_FILE, trained.log)
        write_plan(output, plan)
        best_step = progress.best_step if progress.best_step >= 0 else progress.step
        consumed = {
            name: self.subject.consumed(steps).model_dump(mode="json")
            for name, steps in (("best", best_step), ("final", progress.step))
        }
        atomic_write(output / CONSUMED_FILE, json.dumps(consumed))
        tokens = progress.step * plan.tokens_per_step
        return {
            "steps": progress.step,
            "best_step": best_step,
            "tokens_seen": tokens,
            "epochs_seen": tokens / self.subject.layout.stream_tokens,
            "train_tokens_per_second": tokens / max(progress.step_seconds, 1e-9),
            "params": sum(p.numel() for p in model.parameters()),
            "train_seconds": progress.seconds,
            key: progress.best_bits_per_byte,
            f"final_{key}": progress.last_bits_per_byte,
            "weights_sha256": sha256_file(output / "best" / WEIGHTS_FILE),
            "final_weights_sha256": sha256_file(output / "final" / WEIGHTS_FILE),
            "precision": plan.precision,
            "dropout": plan.dropout,
            "weight_decay": plan.weight_decay,
            "stopped_early": progress.stopped_early,
            "recoveries": progress.recoveries,
        }


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
    # How many ranks a host has is nothing that this process knows where others start them.
    here = 1 if training.launcher == "external" else training.processes_of_a_host
    if here > torch.cuda.device_count():
        spread = "" if training.hosts == 1 else f" on {training.hosts} hosts"
        raise ConfigError(
            f"training.processes={training.processes}{spread}, but torch finds"
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
