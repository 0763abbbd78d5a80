"""One stage of a task's training, as the training loop wants it: examples, model, what is saved.

In: documents with targets and where to start from.  Out: a `Subject` for `lmcore.training.run`, and
beside its weights `task.json` and what its text was like, all that is needed to answer.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lmcore.data.documents import Document
from lmcore.data.tokens.batches import merge
from lmcore.data.tokens.corpus import Corpus
from lmcore.data.tokens.layout import Layout
from lmcore.errors import SourceError
from lmcore.model.config import AnyModelConfig
from lmcore.model.factory import load_model, new_model, save_model
from lmcore.model.language_model import LanguageModel
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.labels import Labels, find_labels
from lmcore.tasks.learning.calibration import fit_factors, fit_temperature
from lmcore.tasks.learning.class_scores import class_logits, word_logits
from lmcore.tasks.learning.classifier import TextClassifier, load_classifier, save_classifier
from lmcore.tasks.learning.examples import Example, ExampleOrder, encode, notes_on_lengths
from lmcore.tasks.learning.familiarity import Familiarity
from lmcore.tasks.learning.objectives import (
    Classification,
    LayerRates,
    SourceToTarget,
    count_words,
    texts_to_measure,
)
from lmcore.tasks.learning.separator import find_separator
from lmcore.tasks.learning.word_counts import WordCounts
from lmcore.tasks.record import TaskRecord
from lmcore.tasks.task import Task
from lmcore.training.checkpoint import Consumed
from lmcore.training.config import TrainingConfig
from lmcore.training.run import Subject


@dataclass(kw_only=True)
class Stage:
    """The stage in which a task itself is learnt.

    Attributes:
        corpus: Documents with targets, and the tokenizer of the model.
        task: Which one.
        shape: Of the model; where text is written, attention is made to reach over both sides.
        training: Budget and optimization of this stage.
        options: Settings of the task.
        initial: Weights to start from; None: random ones, or those of an imported model.
        pretrained: Folder of the imported model that everything begins with; None: there is none.

    Raises:
        SourceError: If a document has no target, or labels are no classes.
        ConfigError: If nothing can stand between source and target.
    """

    corpus: Corpus
    task: Task
    shape: AnyModelConfig
    training: TrainingConfig
    options: FineTuningConfig
    initial: Path | None
    pretrained: Path | None = None

    def __post_init__(self) -> None:
        self.started = time.perf_counter()
        self.labels: Labels | None = None
        train, tune = (list(self.corpus.documents.iter_documents(s)) for s in ("train", "tune"))
        for document in (*train, *tune):
            if document.target is None:
                raise SourceError(
                    f"{document.name}: no target; give each source of the task a target_field"
                )
        if self.task.chooses_label:
            self.labels = find_labels([document.target for document in train])
            self.train_labels = self.labels.index(d.target for d in train)
            self.tune_labels = self.labels.index(d.target for d in tune)
        self.train, self.tune = self._encoded(train), self._encoded(tune)
        grows = self.shape.habits.grows or not self.task.writes_text
        self.separator = find_separator(self.corpus.loaded, grows=grows)
        if self.task.writes_text:
            # Attention must reach from the last word of the target to the first of the source, in
            # twice what was ever seen; no weight depends on it.
            most = self.options.max_source_tokens + self.options.max_target_tokens + 2
            seen = max(e.num_tokens for e in (*self.train, *self.tune))
            self.shape = self.shape.over_pairs(
                min(most, 2 * seen), copies=self.options.copies(self.task)
            )

    def facts(self) -> dict[str, dict[str, Any]]:
        """How many examples there are by split, how long they are, and how many were cut."""
        return {
            name: {
                "examples": len(examples),
                "sources cut": sum(example.truncated for example in examples),
                "targets cut": sum(example.target_truncated for example in examples),
                **notes_on_lengths(
                    {
                        "source": [len(example.source) for example in examples],
                        "target": [len(e.target) for e in examples if len(e.target)],
                    },
                    unit="tokens",
                ),
            }
            for name, examples in (("train", self.train), ("tune", self.tune))
        }

    def _encoded(self, documents: Sequence[Document]) -> list[Example]:
        options = self.options
        return encode(
            documents,
            self.corpus.loaded,
            max_source=options.max_source_tokens,
            max_target=None if self.task.chooses_label else options.max_target_tokens,
        )

    @property
    def vocab_size(self) -> int:
        """Tokens of the model; the separator may stand behind those of the tokenizer."""
        own = self.corpus.loaded.vocab_size
        return max(own, self.separator + 1) if self.task.writes_text else own

    def subject(self) -> Subject:
        """Everything that the training loop asks for."""
        lengths = [example.num_tokens for example in self.train]
        order = ExampleOrder(
            lengths,
            batch_size=self.training.batch_size,
            seed=self.training.seed,
            fingerprint=self.corpus.train_stream.fingerprint,
            tokens_at_once=self.shape.habits.tokens_at_once,
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
                end_id=self.corpus.loaded.end_id,
                num_labels=len(self.labels),
                rates=self._layer_rates(),
            )
        else:
            objective = SourceToTarget(
                train=self.train,
                tune=self.tune,
                order=order,
                end_id=self.corpus.loaded.end_id,
                separator=self.separator,
                source_loss=self.options.source_loss,
                num_outcomes=self.vocab_size,
            )
        return Subject(
            objective=objective,
            layout=layout,
            tune_tokens=sum(example.num_tokens for example in self.tune),
            dropout=self.shape.habits.dropout,
            new_model=self._new_model,
            save=self._save,
            consumed=lambda steps: self._consumed(order, steps, lengths),
            started=self.started,
        )

    def _layer_rates(self) -> LayerRates:
        if not self.shape.habits.by_depth:
            return LayerRates(head=self.shape.habits.head_rate)
        if self.initial is None:  # random layers have nothing to be kept
            return LayerRates()
        return LayerRates(
            decay=self.options.layer_decay, unfreezing_share=self.options.unfreezing_share
        )

    def _new_model(self, dropout: float, device: str) -> nn.Module:
        made = new_model(
            self.shape,
            dropout=dropout,
            vocab_size=self.vocab_size,
            end_id=self.corpus.loaded.end_id,
            seed=self.training.seed,
            device=device,
            base=self.pretrained,
        )
        if self.initial is not None:
            made.take_over(load_model(self.initial, device))
        elif self.labels is None:
            made.expect(self._target_counts(made.vocab_size))
        if self.labels is None:
            return made
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.training.seed)
            # Each model has a trust of its own.
            counts = copy.deepcopy(self._word_counts) if self.options.word_counts else None
            classifier = TextClassifier(made, len(self.labels), counts).to(device)
        end_id = self.corpus.loaded.end_id  # each time anew, with the threads of that time
        classifier.measure(texts_to_measure(self.train, end_id=end_id, device=device))
        return classifier

    @cached_property  # the probe makes a model too
    def _word_counts(self) -> WordCounts:
        assert self.labels is not None
        return count_words(
            self.train,
            self.train_labels,
            num_labels=len(self.labels),
            pieces=self.corpus.loaded.pieces,
            end_id=self.corpus.loaded.end_id,
        )

    def _target_counts(self, vocab_size: int) -> torch.Tensor:
        """How often each token is to be written, the end of each target included."""
        written = np.concatenate([example.target for example in self.train])
        counts = np.bincount(written, minlength=vocab_size)
        counts[self.corpus.loaded.end_id] += len(self.train)
        return torch.from_numpy(counts)

    def _save(self, model: nn.Module, place: Path) -> None:
        if isinstance(model, TextClassifier):
            self._weigh(model)
            save_classifier(model, place)
        else:
            assert isinstance(model, LanguageModel)
            save_model(model, place)

    def _weigh(self, model: TextClassifier) -> None:
        """Let the tune split say how much the network and the counted words are worth."""
        if model.word_counts is None:
            return
        examples, labels = self._labelled_tune()
        options: dict[str, Any] = {"end_id": self.corpus.loaded.end_id}
        words = word_logits(model, examples, **options)
        network = class_logits(model, examples, **options) - words
        of_network, of_words = fit_factors([network, words], labels)
        model.scale(network=of_network, words=of_words)

    def _labelled_tune(self) -> tuple[list[Example], list[int]]:
        """Examples of the tune split whose class is known, and the classes."""
        known = [i for i, label in enumerate(self.tune_labels) if label >= 0]
        return [self.tune[i] for i in known], [self.tune_labels[i] for i in known]

    def _consumed(self, order: ExampleOrder, steps: int, lengths: Sequence[int]) -> Consumed:
        stream = self.corpus.train_stream
        read = set(range(len(lengths)))
        if steps < order.steps_per_epoch:
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
        """Write what answers need beside the best and the final weights."""
        familiarity = Familiarity.of([e.source for e in self.train], self.corpus.loaded.pieces)
        for which in ("best", "final"):
            temperature = 1.0
            if self.labels is not None:
                examples, labels = self._labelled_tune()
                stored = load_classifier(output / which)
                logits = class_logits(stored, examples, end_id=self.corpus.loaded.end_id)
                temperature = fit_temperature(logits, labels)
            options = self.options
            record = TaskRecord(
                task=self.task.name,
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
            familiarity.write(output / which)
