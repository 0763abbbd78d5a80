"""Train a task: documents and a base model in, an ordinary `Checkpoint` out.

Sentiment goes in two stages: the language model reads the task's own text (as any language model
is trained), then the classifier learns from the labels.  Translation and summarization are one
stage.  Each stage is a run of the one training loop with a plan of its own, so a killed training
goes on bit for bit.

Beside weights and plan the checkpoint holds `task.json`: all that is needed to answer.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lmcore.artifacts import ContentStore, code_digest
from lmcore.data.batches import Layout, merge
from lmcore.data.documents import Document, DocumentSet
from lmcore.data.shards import ShardSet
from lmcore.data.tokenizer import Tokenizer, TokenizerHandle
from lmcore.errors import SourceError
from lmcore.model.config import ModelConfig
from lmcore.model.language_model import RecurrentAttentionLM, load_model, save_model
from lmcore.model.transfer import copy_weights, shape_of
from lmcore.tasks.base import BaseModel
from lmcore.tasks.calibration import fit_temperature
from lmcore.tasks.classifier import TextClassifier, load_classifier, save_classifier
from lmcore.tasks.config import FineTuningConfig, TaskName
from lmcore.tasks.examples import Example, ExampleOrder, encode
from lmcore.tasks.labels import Labels, find_labels
from lmcore.tasks.objectives import Classification, SourceToTarget
from lmcore.tasks.prediction import class_logits
from lmcore.tasks.record import TaskRecord
from lmcore.training.checkpoint import Checkpoint, Consumed
from lmcore.training.config import HOW_IT_IS_RUN, TrainingConfig
from lmcore.training.events import Listener, TrainingEvent
from lmcore.training.plan import Plan
from lmcore.training.run import Subject, follow
from lmcore.training.step import new_model
from lmcore.training.train import train

CODE_MODULES = (
    "lmcore.data.batches",
    "lmcore.data.shards",
    "lmcore.model",
    "lmcore.tasks",
    "lmcore.training",
)
ADAPTATION = "adaptation"
# `training.learning_rate` is meant for random weights. A model that starts from trained ones bends
# them, and the full rate would wipe them out.
_ADAPTED_RATE = 0.25
# Locked dropout, where the configuration names none: a narrow model learns nothing through more.
_DROPOUT, _NARROW_DROPOUT, _NARROW = 0.2, 0.1, 128


@dataclass(frozen=True, kw_only=True)
class TaskPlans:
    """Recorded plans of both stages, to repeat a training.

    Attributes:
        adaptation: Of the language model on the task's text; None: there was no such stage.
        task: Of the task itself.
    """

    adaptation: Plan | None
    task: Plan


def model_shape(model: ModelConfig, base: BaseModel | None) -> ModelConfig:
    """The shape to train: the base model's, or the configured one where there is no base."""
    if base is None:
        return model
    shape = shape_of(load_model(base.weights))
    return shape.model_copy(update={"dropout": model.dropout})


def train_task(
    store: ContentStore,
    *,
    task: TaskName,
    documents: DocumentSet,
    tokenizer: TokenizerHandle,
    shards: ShardSet,
    model: ModelConfig,
    training: TrainingConfig,
    options: FineTuningConfig,
    base: BaseModel | None,
    work_dir: Path,
    nonce: int = 0,
    replay: TaskPlans | None = None,
    on_event: Listener | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Checkpoint:
    """Train a task, or return the checkpoint that these inputs made before.

    Args:
        store: Where the checkpoint goes.
        task: Which one.
        documents: With targets.
        tokenizer: The base model's, or one fitted on these documents.
        shards: Tokens of the documents' text.
        model: Shape where there is no base.
        training: Budget of all stages together, and optimization.
        options: Settings of the task.
        base: The language model to start from; None: random weights.
        work_dir: Resume state of what is not finished.
        nonce: Part of the key; another value trains again.
        replay: Plans to follow instead of probing this machine.
        on_event: Is told what happens, in which stage.
        should_stop: Asked before each step.

    Raises:
        SourceError: If a document has no target, or labels are no classes.
        TrainingInterrupted: If asked to stop; the same call goes on.
        TrainingError: If the loss diverges twice.
    """
    shape = model_shape(model, base)
    initial, first = base.weights if base else None, None
    remaining = training
    if task == "sentiment" and options.adaptation_share > 0:
        own, remaining = shared(training, options.adaptation_share, started=base is not None)
        first = train(
            store,
            shards=shards,
            tokenizer=tokenizer,
            model=shape,
            training=own,
            work_dir=work_dir,
            nonce=nonce,
            replay=replay.adaptation if replay else None,
            initial=initial,
            on_event=_in_stage(on_event, ADAPTATION),
            should_stop=should_stop,
        )
        initial = first.path / "best"
    if task == "sentiment" and initial is not None:
        rate = remaining.learning_rate * _ADAPTED_RATE
        remaining = remaining.model_copy(update={"learning_rate": rate})
    inputs = {
        "task": task,
        "documents": documents.key,
        "tokenizer": tokenizer.key,
        "shards": shards.key,
        "base": base.key if base else None,
        "adapted": first.key if first else None,
        "model": shape.model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude=set(HOW_IT_IS_RUN)),
        "options": options.model_dump(mode="json"),
        "replay": None if replay is None else replay.task.model_dump(mode="json"),
        "code": code_digest(*CODE_MODULES),
        "nonce": nonce,
    }
    folder = work_dir / store.key(Checkpoint.kind, inputs)[:32]

    def make(output: Path) -> Mapping[str, Any]:
        job = _Job(
            task=task,
            documents=documents,
            tokenizer=tokenizer.load(),
            shards=shards,
            shape=shape,
            training=remaining,
            options=options,
            initial=initial,
            fingerprint=f"{documents.key}/{tokenizer.key}",
        )
        summary = follow(
            output,
            job.subject(),
            training=remaining,
            folder=folder,
            replay=replay.task if replay else None,
            on_event=on_event,
            should_stop=should_stop,
        )
        job.describe(output)
        return {
            **summary,
            "task": task,
            "base": base.to_json() if base else None,
            "adaptation": _facts(first),
            "train_seconds": summary["train_seconds"]
            + (first.summary["train_seconds"] if first else 0.0),
        }

    checkpoint = store.build(Checkpoint, inputs, make)
    shutil.rmtree(folder, ignore_errors=True)
    return checkpoint


def shared(
    training: TrainingConfig, share: float, *, started: bool
) -> tuple[TrainingConfig, TrainingConfig]:
    """The training of the language model on the task's text, and that of the task.

    Args:
        training: Bounds both together.
        share: Of the first.
        started: Whether the first starts from a trained model.
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
    if started:
        parts[0]["learning_rate"] = training.learning_rate * _ADAPTED_RATE
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


@dataclass(kw_only=True)
class _Job:
    """What one stage of a task is made of."""

    task: TaskName
    documents: DocumentSet
    tokenizer: Tokenizer
    shards: ShardSet
    shape: ModelConfig
    training: TrainingConfig
    options: FineTuningConfig
    initial: Path | None
    fingerprint: str

    def __post_init__(self) -> None:
        self.started = time.perf_counter()
        self.labels: Labels | None = None
        train, tune = (list(self.documents.iter_documents(s)) for s in ("train", "tune"))
        for document in (*train, *tune):
            if document.target is None:
                raise SourceError(
                    f"{document.name}: no target; give each source of the task a target_field"
                )
        if self.task == "sentiment":
            self.labels = find_labels([document.target for document in train])
            self.train_labels = self.labels.index(d.target for d in train)
            self.tune_labels = self.labels.index(d.target for d in tune)
        self.train, self.tune = self._encoded(train), self._encoded(tune)
        if self.task != "sentiment":
            # Attention must reach from the last word of the target to the first of the source, in
            # twice what was ever seen; no weight depends on it.
            most = self.options.max_source_tokens + self.options.max_target_tokens + 2
            seen = max(e.num_tokens for e in (*self.train, *self.tune))
            window = max(self.shape.window, min(most, 2 * seen))
            self.shape = self.shape.model_copy(update={"window": window})

    def _encoded(self, documents: Sequence[Document]) -> list[Example]:
        options = self.options
        return encode(
            documents,
            self.tokenizer,
            max_source=options.max_source_tokens,
            max_target=None if self.task == "sentiment" else options.max_target_tokens,
        )

    @property
    def separator(self) -> int:
        """The token between source and target: behind those of the tokenizer."""
        return self.tokenizer.vocab_size

    def subject(self) -> Subject:
        lengths = [example.num_tokens for example in self.train]
        order = ExampleOrder(
            lengths,
            batch_size=self.training.batch_size,
            seed=self.training.seed,
            fingerprint=self.fingerprint,
        )
        mean = max(1, round(sum(lengths) / len(lengths)))
        layout = Layout(
            stream_tokens=order.steps_per_epoch * order.batch_size * mean,
            batch_size=order.batch_size,
            sequence_length=mean,
            block_tokens=mean,
            rounds=order.steps_per_epoch,
        )
        objective: Classification | SourceToTarget
        if self.labels is not None:
            objective = Classification(
                train=self.train,
                labels=self.train_labels,
                tune=self.tune,
                tune_labels=self.tune_labels,
                order=order,
                end_id=self.tokenizer.end_id,
                num_labels=len(self.labels),
                # Random layers have nothing to be kept.
                layer_decay=self.options.layer_decay if self.initial else 1.0,
                unfreezing_share=self.options.unfreezing_share if self.initial else 0.0,
            )
        else:
            objective = SourceToTarget(
                train=self.train,
                tune=self.tune,
                order=order,
                end_id=self.tokenizer.end_id,
                separator=self.separator,
                source_loss=self.options.source_loss,
            )
        dropout = self.shape.dropout
        if dropout is None:
            dropout = _NARROW_DROPOUT if self.shape.d_model < _NARROW else _DROPOUT
        return Subject(
            objective=objective,
            layout=layout,
            tune_tokens=sum(example.num_tokens for example in self.tune),
            dropout=dropout,
            new_model=self._new_model,
            save=self._save,
            consumed=lambda steps: self._consumed(order, steps, lengths),
            started=self.started,
        )

    def _new_model(self, dropout: float, device: str) -> nn.Module:
        with_separator = self.labels is None
        made = new_model(
            self.shape.model_copy(update={"dropout": dropout}),
            vocab_size=self.tokenizer.vocab_size + with_separator,
            end_id=self.tokenizer.end_id,
            seed=self.training.seed,
            device=device,
        )
        if self.initial is not None:
            copy_weights(load_model(self.initial, device), made)
        if self.labels is None:
            return made
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.training.seed)
            return TextClassifier(made, len(self.labels)).to(device)

    def _save(self, model: nn.Module, place: Path) -> None:
        if isinstance(model, TextClassifier):
            save_classifier(model, place)
        else:
            assert isinstance(model, RecurrentAttentionLM)
            save_model(model, place)

    def _consumed(self, order: ExampleOrder, steps: int, lengths: Sequence[int]) -> Consumed:
        stream = self.shards.stream("train")
        whole = steps >= order.steps_per_epoch
        if whole:
            read = set(range(len(lengths)))
        else:
            read = {int(i) for step in range(steps) for i in order.members(step)}
        starts = np.concatenate([[0], stream.doc_ends[:-1]])
        ranges = [(int(starts[i]), int(stream.doc_ends[i])) for i in sorted(read)]
        return Consumed(
            steps=steps,
            tokens=steps * order.batch_size * (sum(lengths) // max(1, len(lengths))),
            epochs=steps / order.steps_per_epoch,
            ranges=merge(ranges, size=len(stream)),
        )

    def describe(self, output: Path) -> None:
        """Write `task.json` beside the best and the final weights."""
        for which in ("best", "final"):
            temperature = 1.0
            if self.labels is not None:
                known = [i for i, label in enumerate(self.tune_labels) if label >= 0]
                logits = class_logits(
                    load_classifier(output / which),
                    [self.tune[i] for i in known],
                    end_id=self.tokenizer.end_id,
                )
                temperature = fit_temperature(logits, [self.tune_labels[i] for i in known])
            options = self.options
            record = TaskRecord(
                task=self.task,
                labels=self.labels.names if self.labels else (),
                shares=self.labels.shares if self.labels else (),
                temperature=temperature,
                separator=self.separator,
                max_source_tokens=options.max_source_tokens,
                max_target_tokens=options.max_target_tokens,
                beam_size=options.beam_size,
                length_penalty=options.length_penalty,
                no_repeat_ngram_size=options.no_repeat(self.task),
            )
            record.write(output / which)
