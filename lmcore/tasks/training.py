"""Train a task: documents and a base model in, an ordinary `Checkpoint` out.

Sentiment goes in two stages: the language model reads the task's own text (as any language model
is trained), then the classifier learns from the labels.  Translation and summarization are one
stage.  Each stage is a run of the one training loop with a plan of its own, so a killed training
goes on bit for bit.

Beside weights and plan the checkpoint holds `task.json` and `familiarity.safetensors`: all that is
needed to answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmcore.data.tokens.corpus import Corpus
from lmcore.digests import code_digest
from lmcore.model.config import AnyModelConfig
from lmcore.model.factory import base_of, load_model
from lmcore.model.pretrained import shelf
from lmcore.model.pretrained.base import Base
from lmcore.tasks.base_model import BaseModel, TaskStart
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.learning.stage import Stage
from lmcore.tasks.task import Task
from lmcore.training.attempt import Attempt
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.config import HOW_IT_IS_RUN, TrainingConfig
from lmcore.training.events import Listener, TrainingEvent
from lmcore.training.plan import Plan
from lmcore.training.run import follow
from lmcore.training.train import train

CODE_MODULES = (
    "lmcore.data.tokens.batches",
    "lmcore.data.tokens.layout",
    "lmcore.data.tokens.shards",
    "lmcore.data.tokens.token_stream",
    "lmcore.model",
    "lmcore.tasks",
    "lmcore.training",
)
ADAPTATION = "adaptation"


RANDOM = TaskStart()


@dataclass(frozen=True, kw_only=True)
class TaskPlans:
    """Recorded plans of both stages, to repeat a training.

    Attributes:
        adaptation: Of the language model on the task's text; None: there was no such stage.
        task: Of the task itself.
    """

    adaptation: Plan | None
    task: Plan


def model_shape(model: AnyModelConfig, base: BaseModel | None) -> AnyModelConfig:
    """The shape to train: the base model's, or the configured one where there is no base."""
    if base is None:
        return model
    return load_model(base.weights).shape.with_dropout(model.dropout)


def pretrained_of(start: TaskStart) -> Base | None:
    """The imported model that everything begins with; None: there is none.

    Raises:
        IntegrityError: If it is not here, or damaged.
    """
    if start.base is None:
        return start.pretrained
    folder = base_of(start.base.weights)
    return None if folder is None else shelf.verified(folder)


def train_task(
    attempt: Attempt,
    corpus: Corpus,
    *,
    task: Task,
    model: AnyModelConfig,
    training: TrainingConfig,
    options: FineTuningConfig,
    start: TaskStart = RANDOM,
    replay: TaskPlans | None = None,
) -> Checkpoint:
    """Train a task, or return the checkpoint that these inputs made before.

    Args:
        attempt: Where it is done and who attends it; events say in which stage they happen.
        corpus: Documents with targets; the tokenizer is that of the model that it starts from.
        task: Which one.
        model: Shape where there is no registered base.
        training: Budget of all stages together, and optimization.
        options: Settings of the task.
        start: What it begins with.
        replay: Plans to follow instead of probing this machine.

    Raises:
        SourceError: If a document has no target, or labels are no classes.
        TrainingInterrupted: If asked to stop; the same call goes on.
        TrainingError: If the loss diverges twice.
    """
    base, pretrained = start.base, pretrained_of(start)
    shape = model_shape(model, base)
    initial, first = base.weights if base else None, None
    # Beside a base `training` speaks of random weights, beside an imported model of that one.
    of_its_own = base is None and pretrained is not None
    remaining, slower = training, 1.0 if of_its_own else shape.habits.trained_rate
    share = options.adaptation(shape)
    if task.chooses_label and share > 0:
        own, remaining = shared(training, share, rate=1.0 if base is None else slower)
        first = train(
            replace(attempt, on_event=_in_stage(attempt.on_event, ADAPTATION)),
            corpus,
            model=shape,
            training=own,
            replay=replay.adaptation if replay else None,
            initial=initial,
            base=pretrained,
        )
        initial = first.path / "best"
    if initial is not None and (task.chooses_label or pretrained is not None):
        rate = remaining.learning_rate * slower
        remaining = remaining.model_copy(update={"learning_rate": rate})
    inputs = {
        "task": task.name,
        "documents": corpus.documents.key,
        "tokenizer": corpus.tokenizer.key,
        "shards": corpus.shards.key,
        "base": base.key if base else None,
        "adapted": first.key if first else None,
        "model": shape.model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude=set(HOW_IT_IS_RUN)),
        "options": options.model_dump(mode="json"),
        "replay": None if replay is None else replay.task.model_dump(mode="json"),
        "code": code_digest(*CODE_MODULES),
        "nonce": attempt.nonce,
    }
    if pretrained is not None:
        inputs["pretrained"] = pretrained.key
    folder = attempt.work_dir / attempt.store.key(Checkpoint.kind, inputs)[:32]

    def make(output: Path) -> Mapping[str, Any]:
        stage = Stage(
            corpus=corpus,
            task=task,
            shape=shape,
            training=remaining,
            options=options,
            initial=initial,
            pretrained=pretrained.path if pretrained else None,
        )
        with attempt.shared(folder) as on_event:
            summary = follow(
                output,
                stage.subject(),
                training=remaining,
                folder=folder,
                replay=replay.task if replay else None,
                on_event=on_event,
                should_stop=attempt.should_stop,
            )
        stage.describe(output)
        return {
            **summary,
            "task": task.name,
            "examples": stage.facts(),
            "base": base.to_json() if base else None,
            "adaptation": _facts(first),
            "train_seconds": summary["train_seconds"]
            + (first.summary["train_seconds"] if first else 0.0),
        }

    checkpoint = attempt.store.build(Checkpoint, inputs, make)
    attempt.done(folder)
    return checkpoint


def shared(
    training: TrainingConfig, share: float, *, rate: float
) -> tuple[TrainingConfig, TrainingConfig]:
    """The training of the language model on the task's text, and that of the task.

    Args:
        training: Bounds both together.
        share: Of the first.
        rate: Factor of the first one's learning rate.
    """
    values = training.model_dump()
    parts = []
    for part in (share, 1 - share):
        bounds = {
            name: None if values[name] is None else values[name] * part
            for name in ("budget_seconds", "max_epochs")
        }
        if values["max_steps"] is not None:
            bounds["max_steps"] = max(1, round(values["max_steps"] * part))
        parts.append({**values, **bounds})
    parts[0]["learning_rate"] = training.learning_rate * rate
    first, second = (TrainingConfig.model_validate(part) for part in parts)
    return first, second


def _in_stage(on_event: Listener | None, stage: str) -> Listener | None:
    if on_event is None:
        return None
    tell = on_event

    def told(event: TrainingEvent) -> None:
        tell(replace(event, stage=stage))

    return told


def _facts(first: Checkpoint | None) -> dict[str, Any] | None:
    if first is None:
        return None
    names = ("steps", "epochs_seen", "train_seconds", "tune_bits_per_byte", "weights_sha256")
    return {
        **{name: first.summary[name] for name in names},
        "checkpoint": first.key,
        "plan": first.plan().model_dump(mode="json"),
    }
