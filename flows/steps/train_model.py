"""A corpus to a checkpoint: training that shows and records its progress."""

from __future__ import annotations

import logging

from flows.home.environment import Home
from flows.home.signals import SAVING, finishing, stop_requested
from flows.registry.tracking import TrackedRun
from flows.steps.progress import learnt_little, training_shown
from flows.steps.run import Run
from lmcore.config import RunConfig
from lmcore.counted import counted
from lmcore.data.tokens.corpus import Corpus
from lmcore.evaluation.gates.data_sufficiency import SHARES
from lmcore.shared_points import SharedResumePoints
from lmcore.tasks.base_model import BaseModel, TaskStart
from lmcore.tasks.task import TASKS
from lmcore.tasks.training import TaskPlans, train_task
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.events import Listener, TrainingEvent
from lmcore.training.start import Start
from lmcore.training.train import train
from lmcore.training.trials.parts import PartModel, train_on_parts

logger = logging.getLogger(__name__)

_LOOKS = {"tune_bits_per_byte": "bits/byte", "tune_loss_nats": "nats"}


def train_model(run: Run, corpus: Corpus, *, start: Start, tracked: TrackedRun) -> Checkpoint:
    """Train, or go on with a training that was stopped.

    Args:
        run: What is trained, and where it is kept.
        corpus: What is learnt from.
        start: Where a language model begins.
        tracked: Is sent the numbers of training.

    Raises:
        TrainingInterrupted: If the user stopped; the same call goes on.
    """
    show = training_shown(run.config.training)

    def on_event(event: TrainingEvent) -> None:
        show(event)
        if event.kind in ("step", "evaluation"):
            # Both stages of a task count their steps from zero.
            stage = f"{event.stage}_" if event.stage else ""
            values = {f"{stage}{name}": value for name, value in event.values.items()}
            tracked.log_metrics(values, step=event.step, patience_seconds=2.0)
        elif event.kind == "checkpoint":
            # What a resume will not train again must be in the store by now.
            tracked.log_metrics({}, step=event.step)

    checkpoint = trained(
        run.config,
        corpus,
        run.home,
        start=start,
        base=run.base,
        on_event=on_event,
        nonce=run.key.nonce,
    )
    summary = checkpoint.summary
    of_tune = next(
        f"{summary[key]:.3f} {unit}" for key, unit in _LOOKS.items() if summary.get(key) is not None
    )
    logger.info(
        "train: %s, %.1f M tokens (%.2f epochs), %.0f s, %.1fk tokens/s, tune %s",
        counted(summary["steps"], "step"),
        summary["tokens_seen"] / 1e6,
        summary["epochs_seen"],
        summary["train_seconds"],
        summary["train_tokens_per_second"] / 1e3,
        of_tune,
    )
    begun_new = start.origin == "scratch" and start.pretrained is None and run.base is None
    if begun_new and (warning := learnt_little(checkpoint.log(), run.config.training)):
        logger.warning("train: %s", warning)
    return checkpoint


def trained(
    config: RunConfig,
    corpus: Corpus,
    home: Home,
    *,
    start: Start,
    base: BaseModel | None,
    on_event: Listener,
    nonce: int = 0,
    replay: TaskPlans | None = None,
) -> Checkpoint:
    """Train what a configuration says, a language model or a task.

    Args:
        config: The pipeline's configuration.
        corpus: What is learnt from, with targets for a task.
        home: Where checkpoint and resume state go.
        start: Where a language model begins.
        base: The language model that a task starts from.
        on_event: Is told what happens.
        nonce: Another value trains again.
        replay: Recorded plans to follow; a language model has the one of `task`.

    Raises:
        TrainingInterrupted: If the user stopped; the same call goes on.
    """
    attempt = Attempt(
        store=home.store,
        work_dir=home.work,
        nonce=nonce,
        on_event=on_event,
        should_stop=stop_requested,
        points=SharedResumePoints(home.shared) if home.shared else None,
    )
    training = config.training.model_copy(update={"start": start.origin})
    task = TASKS[config.task]
    with finishing(SAVING):
        if task.is_language_model:
            return train(
                attempt,
                corpus,
                model=config.model,
                training=training,
                replay=replay.task if replay else None,
                initial=start.model,
                base=start.pretrained,
            )
        return train_task(
            attempt,
            corpus,
            task=task,
            model=config.model,
            training=training,
            options=config.fine_tuning,
            start=TaskStart(base=base, pretrained=start.pretrained),
            replay=replay,
        )


def train_parts(run: Run, corpus: Corpus, *, whole: Checkpoint) -> list[PartModel]:
    """Train on parts of the text too, so that the advice on more data can be given.

    Raises:
        TrainingInterrupted: If the user stopped; the same call goes on.
    """
    with finishing(SAVING):
        parts = train_on_parts(
            Attempt(
                store=run.store,
                work_dir=run.home.work,
                on_event=training_shown(run.config.training),
                should_stop=stop_requested,
            ),
            corpus,
            model=run.config.model,
            training=run.config.training,
            whole=whole,
            shares=SHARES[:-1],
            base=run.pretrained,
        )
    for part in parts:
        logger.info(
            "train: on %.0f %% of the text, tune %.3f bits/byte",
            100 * part.share,
            part.checkpoint.summary["tune_bits_per_byte"],
        )
    return parts
