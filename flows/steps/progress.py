"""A step to people: in the terminal, on Prefect's page, and in what training tells.

The displays read one job (`flows.progress.job`); none of them influences the step.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from flows.home.artifact_keys import artifact_key
from flows.home.environment import Home
from flows.progress.artifact import ProgressArtifact, flow_run_id
from flows.progress.board import posted
from flows.progress.job import Job, current
from flows.progress.screen import listening, showing
from lmcore.counted import counted
from lmcore.training.config import TrainingConfig
from lmcore.training.events import Listener, TrainingEvent

logger = logging.getLogger(__name__)

_LINES = 10  # in Prefect's log over a whole training
_LOOK_SECONDS = 1.0
_FEW_STEPS = 10
#: Of the loss that a training began with; what learns at all loses more within a hundred steps.
_LEAST_FALL = 0.15
#: In the record of a log line: the command line shows something better in its place.
ELSEWHERE = {"shown": False}
#: Keys of the artifacts, where they differ from the step's name.
_KEYS = {"train": "training"}


@contextmanager
def job_shown(name: str, home: Home, model: str = "") -> Iterator[Job]:
    """Inside, people and other processes of the home see what this process does.

    Args:
        name: Of the flow or command.
        home: Where others look.
        model: That it works on.
    """
    with ExitStack() as stack:
        job = stack.enter_context(showing(name, model))
        title = "-".join(part for part in (name, model) if part)
        notice = stack.enter_context(posted(home.running, title, flow_run_id=flow_run_id()))
        if notice is not None:
            notice.write(job.snapshot())
            stack.enter_context(listening(notice.write, seconds=_LOOK_SECONDS))
        yield job


@contextmanager
def step_shown(name: str, model: str = "") -> Iterator[None]:
    """Inside, a step is in progress; a flow run's page has an artifact of it."""
    with current().step(name), ExitStack() as stack:
        artifact = None
        if flow_run_id() is not None:
            key = artifact_key(_KEYS.get(name, name), model)
            artifact = ProgressArtifact(key, f"{name.capitalize()}, per cent")
            shown = artifact

            def tell(now: Any) -> None:
                shown.show(min(99.0, now.percent))

            stack.enter_context(listening(tell, seconds=_LOOK_SECONDS))
        done = False
        try:
            yield
            done = True
        finally:
            if artifact is not None:
                artifact.close(done=done)


def counting(unit: str) -> Any:
    """What a step of `lmcore` is given to say how far it is: part, number and, if known, total."""

    def tell(part: str, done: int, total: int | None = None) -> None:
        current().count(part, done, total or None, unit=unit)

    return tell


def training_shown(training: TrainingConfig) -> Listener:
    """Show what a training tells; one that can hardly learn says so before it begins."""
    lines = _Lines()
    current().count("measuring how fast this machine is")

    def show(event: TrainingEvent) -> None:
        if event.kind in ("waiting", "plan", "resume", "recovery", "revision"):
            logger.info("train: %s", event.message)
            promised = event.kind == "plan" and training.budget_seconds is not None
            if promised and event.steps <= _FEW_STEPS:
                logger.warning("train: %s", few_steps(event.steps, training))
        numbers = _numbers(event)
        if event.kind == "step":
            current().count(
                event.stage,
                event.step,
                event.steps,
                unit="steps",
                note=numbers,
                loss_nats=event.values.get("loss_nats"),
                is_step=not event.stage,
            )
            if lines.due(event):
                text = f"train: step {event.step} of {event.steps}, {numbers}"
                logger.info(text, extra=ELSEWHERE)

    return show


class _Lines:
    """A line at every tenth of the way."""

    def __init__(self) -> None:
        self._next = 0

    def due(self, event: TrainingEvent) -> bool:
        if event.step * _LINES < self._next * max(event.steps, 1):
            return False
        self._next = event.step * _LINES // max(event.steps, 1) + 1
        return True


def few_steps(steps: int, training: TrainingConfig) -> str:
    """That a training is too short to learn anything, and what to raise."""
    return (
        f"this is {counted(steps, 'step')} in all, in which nothing is learnt; {_raise(training)}"
    )


def learnt_little(log: Any, training: TrainingConfig) -> str | None:
    """That a training from random weights learnt almost nothing, and what to raise; None: it did.

    Args:
        log: Of the training, as a checkpoint keeps it.
        training: Its configuration.
    """
    losses = [
        float(line["loss_nats"])
        for line in log
        if isinstance(line, Mapping) and line.get("kind") == "step" and line.get("loss_nats")
    ]
    if not losses or losses[-1] < (1.0 - _LEAST_FALL) * losses[0]:
        return None
    steps = max(int(line.get("step") or 0) for line in log)
    return (
        f"almost nothing was learnt: the loss went from {losses[0]:.2f} to {losses[-1]:.2f}"
        f" nats/token in {counted(steps, 'step')}, so the gates will hardly let it pass;"
        f" {_raise(training)}"
    )


def _raise(training: TrainingConfig) -> str:
    for key in ("budget_seconds", "max_steps", "max_epochs"):
        if (value := getattr(training, key)) is not None:
            return f"raise training.{key} (now {value:g}), or make the model smaller"
    return "train longer, or make the model smaller"


def _numbers(event: TrainingEvent) -> str:
    parts = []
    if (loss := event.values.get("loss_nats")) is not None:
        parts.append(f"loss {loss:.3f} nats/token")
    if (speed := event.values.get("tokens_per_second")) is not None:
        parts.append(f"{speed / 1000:.1f}k tokens/s")
    return ", ".join(parts)
