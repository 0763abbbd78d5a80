"""Token shards to a checkpoint, as a Prefect task that shows and records its progress."""

from __future__ import annotations

import logging

from prefect import task
from prefect.states import Cancelled, State

from flows.environment import Home
from flows.progress import Displays
from flows.signals import stop_requested
from flows.tokenize_documents import Tokenized
from flows.tracking import TrackedRun
from lmcore.artifacts import ContentStore
from lmcore.config import RunConfig
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.events import TrainingEvent, TrainingInterrupted
from lmcore.training.train import train

logger = logging.getLogger(__name__)


@task(name="train", task_run_name="train {config.name}")
def train_model(
    config: RunConfig, tokenized: Tokenized, home: Home, tracked: TrackedRun, nonce: int
) -> Checkpoint | State[None]:
    """Train, or go on with a training that was stopped; a stop ends the task Cancelled."""
    with Displays(artifact_key=f"training-{artifact_key(config.name)}") as displays:

        def on_event(event: TrainingEvent) -> None:
            displays.show(event)
            if event.kind in ("step", "evaluation"):
                tracked.log_metrics(event.values, step=event.step)

        try:
            checkpoint = train(
                ContentStore(home.content),
                shards=tokenized.shards,
                tokenizer=tokenized.tokenizer,
                model=config.model,
                training=config.training,
                work_dir=home.work,
                nonce=nonce,
                on_event=on_event,
                should_stop=stop_requested,
            )
        except TrainingInterrupted as stop:
            return Cancelled(message=str(stop))
    summary = checkpoint.summary
    logger.info(
        "train: %s steps, %.1f M tokens (%.2f epochs), %.0f s, %.1fk tokens/s, tune %.3f bits/byte",
        f"{summary['steps']:,}",
        summary["tokens_seen"] / 1e6,
        summary["epochs_seen"],
        summary["train_seconds"],
        summary["train_tokens_per_second"] / 1e3,
        summary["tune_bits_per_byte"],
    )
    return checkpoint


def artifact_key(name: str) -> str:
    """A model's name in the alphabet of Prefect's artifact keys."""
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-") or "model"
