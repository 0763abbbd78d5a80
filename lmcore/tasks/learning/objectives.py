"""What the tasks minimise, in the shape that the training loop asks for.

Classification: cross-entropy of the class; layers are freed one by one from the top, and a layer
learns slower than the one above it, so that what the language model knows is bent and not broken
(gradual unfreezing and discriminative rates; Howard and Ruder 2018, arXiv:1801.06146).

Translation and summarization: one stream `source <sep> target <end>` in which the target is
predicted; predicting the source as well counts a little at first and nothing in the second half
(He et al. 2018 and Wang et al. 2021, arXiv:2102.01293, train both sides of such a stream).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lmcore.data.tokens.batches import Batch
from lmcore.model.language_model import LanguageModel
from lmcore.tasks.learning.classifier import ClassifierLoss, TextClassifier
from lmcore.tasks.learning.examples import Example, ExampleOrder, by_length, padded
from lmcore.tasks.learning.streams import stream_batch, stream_nats
from lmcore.tasks.learning.word_counts import WordCounts
from lmcore.training.distributed import ALONE, World
from lmcore.training.objective import TokenLoss
from lmcore.training.optimizer import make_grouped_optimizer
from lmcore.training.plan import Plan
from lmcore.training.step import to_tensor

LOOK_KEY = "tune_loss_nats"
# Examples of one look at the tune split, at most.
_LOOK_EXAMPLES = 2_000
_LOOK_LANES = 64
# Padding included: what a model a hundred times larger holds of them stays below a gigabyte.
_LOOK_TOKENS = 1 << 14
# Texts whose states are measured: 256 sentences, and some where texts are long.
_MEASURED_TOKENS, _MEASURED_AT_ONCE, _LEAST_MEASURED = 1 << 13, 1 << 11, 16
# Words are counted in so many tokens at most: some 300 MB of features.
_COUNTED_TOKENS = 1 << 24


@dataclass(frozen=True, kw_only=True)
class LayerRates:
    """How fast the layers of a trained model may change; by default all alike and from the start.

    Attributes:
        head: Factor of the rate for the head.
        decay: A layer's rate over that of the one below.
        unfreezing_share: Of the steps, in which layers are freed.
    """

    head: float = 1.0
    decay: float = 1.0
    unfreezing_share: float = 0.0


class Classification:
    """Learn the class of each text.

    Args:
        train: Examples of the train split.
        labels: Their classes.
        tune: Examples of the tune split.
        tune_labels: Their classes; unknown ones are left out.
        order: Of the train examples.
        end_id: Token that each text is read behind.
        num_labels: Classes.
        rates: Of the layers.
    """

    carries_state = False
    look_key = LOOK_KEY

    def __init__(
        self,
        *,
        train: Sequence[Example],
        labels: Sequence[int],
        tune: Sequence[Example],
        tune_labels: Sequence[int],
        order: ExampleOrder,
        end_id: int,
        num_labels: int,
        rates: LayerRates,
    ) -> None:
        self._train, self._labels, self._order = train, np.asarray(labels), order
        known = [place for place, label in enumerate(tune_labels) if label >= 0]
        self._tune = [tune[place] for place in known[:_LOOK_EXAMPLES]]
        self._tune_labels = np.asarray([tune_labels[place] for place in known[:_LOOK_EXAMPLES]])
        self._end = end_id
        self.num_outcomes = num_labels
        self._rates = rates

    def losses(self, model: nn.Module) -> nn.Module:
        """See `Objective`."""
        return ClassifierLoss(_classifier(model), held_out=True)

    def optimizer(self, model: nn.Module, *, weight_decay: float) -> torch.optim.AdamW:
        """One group of parameters a layer."""
        return make_grouped_optimizer(_classifier(model).depths(), weight_decay=weight_decay)

    def set_rates(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        rate: float,
        share: float,
    ) -> None:
        """Each layer its rate; those that are not free yet get no gradient."""
        layers = _classifier(model).depths()
        wait = self._rates.unfreezing_share / max(1, len(layers) - 1)
        for depth, parameters in enumerate(layers):
            for parameter in parameters:
                parameter.requires_grad_(share >= depth * wait)
        for group in optimizer.param_groups:
            depth = group["depth"]
            own = self._rates.decay**-depth if depth else self._rates.head
            group["lr"] = rate * own

    def batch(self, step: int, *, share: float) -> Batch:
        """See `Objective`."""
        members = self._order.members(step)
        return self._batch([self._train[i] for i in members], self._labels[members])

    def _batch(self, examples: Sequence[Example], labels: np.ndarray) -> Batch:
        inputs, present = classifier_inputs(examples, end_id=self._end)
        batch = Batch(inputs=inputs, targets=labels, fresh=True, weights=present)
        return self._order.in_parts(batch)

    def look(self, plan: Plan) -> Iterable[Batch]:
        """All of the tune split, or its first 2,000 examples."""
        lengths = [len(e.source) + 1 for e in self._tune]
        for members in by_length(lengths, together=_LOOK_LANES, most_tokens=_LOOK_TOKENS):
            yield self._batch([self._tune[i] for i in members], self._tune_labels[members])

    @torch.no_grad()
    def measure(self, model: nn.Module, batches: Iterable[Batch], *, world: World = ALONE) -> float:
        """Mean nats of the class."""
        losses = ClassifierLoss(_classifier(model), held_out=False)
        device = next(model.parameters()).device
        total, count = 0.0, 0
        for batch in batches:
            assert batch.weights is not None
            nats, _, _ = losses(
                to_tensor(batch.inputs, device),
                to_tensor(batch.targets, device),
                state=None,
                rng=None,
                weights=torch.from_numpy(batch.weights).to(device),
            )
            total, count = total + nats.item(), count + len(batch.targets)
        return total / max(1, count)


def classifier_inputs(examples: Sequence[Example], *, end_id: int) -> tuple[np.ndarray, np.ndarray]:
    """The end token and the text of each example, padded; and which tokens are there."""
    rows = [np.concatenate([[end_id], example.source]) for example in examples]
    present = np.zeros((len(rows), max(len(row) for row in rows)), dtype=np.float32)
    for lane, row in enumerate(rows):
        present[lane, : len(row)] = 1
    return padded(rows, end_id=end_id), present


def texts_to_measure(
    examples: Sequence[Example], *, end_id: int, device: str
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Some texts of the train split in small batches: what is pooled of them is measured.

    Args:
        examples: Of the train split.
        end_id: Token that each text is read behind.
        device: Where they go.
    """
    mean = 1 + sum(len(example.source) for example in examples) / len(examples)
    # Evenly spaced, as examples may be sorted by their class.
    kept = min(len(examples), max(_LEAST_MEASURED, int(_MEASURED_TOKENS / mean)))
    some = [examples[i] for i in np.linspace(0, len(examples) - 1, kept).astype(np.int64)]
    lengths = [len(example.source) + 1 for example in some]
    for members in by_length(lengths, together=_LOOK_LANES, most_tokens=_MEASURED_AT_ONCE):
        inputs, present = classifier_inputs([some[i] for i in members], end_id=end_id)
        yield torch.from_numpy(inputs).to(device), torch.from_numpy(present).to(device)


def count_words(
    examples: Sequence[Example],
    labels: Sequence[int],
    *,
    num_labels: int,
    pieces: Sequence[bytes],
    end_id: int,
) -> WordCounts:
    """Count the words of labelled examples, and learn what they say about the classes.

    Args:
        examples: Of the train split.
        labels: Their classes.
        num_labels: C.
        pieces: Bytes of each token.
        end_id: Token that each text is read behind.
    """
    counts, wanted = WordCounts(num_labels, len(pieces)), torch.tensor(labels)
    counts.features.spell(pieces)
    total = sum(len(example.source) + 1 for example in examples)
    # Evenly spaced, as examples may be sorted by their class.
    kept = max(1, min(len(examples), len(examples) * _COUNTED_TOKENS // total))
    places = np.linspace(0, len(examples) - 1, kept).astype(np.int64)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        for start in range(0, kept, _LOOK_LANES):
            some = places[start : start + _LOOK_LANES]
            inputs, present = classifier_inputs([examples[i] for i in some], end_id=end_id)
            yield torch.from_numpy(inputs), torch.from_numpy(present), wanted[some]

    counts.fit(batches())
    return counts


def _classifier(model: nn.Module) -> TextClassifier:
    assert isinstance(model, TextClassifier)
    return model


class SourceToTarget(TokenLoss):
    """Learn to write the target behind the source.

    Args:
        train: Examples of the train split.
        tune: Examples of the tune split.
        order: Of the train examples.
        end_id: Token that starts and ends a stream.
        separator: Token between source and target.
        source_loss: Weight of predicting the source at the first step.
        num_outcomes: Tokens of the model.
    """

    carries_state = False
    look_key = LOOK_KEY

    def __init__(
        self,
        *,
        train: Sequence[Example],
        tune: Sequence[Example],
        order: ExampleOrder,
        end_id: int,
        separator: int,
        source_loss: float,
        num_outcomes: int,
    ) -> None:
        self._train, self._order = train, order
        self._tune = list(tune[:_LOOK_EXAMPLES])
        self._end, self._separator = end_id, separator
        self.num_outcomes = num_outcomes
        self._source_loss = source_loss

    def batch(self, step: int, *, share: float) -> Batch:
        """See `Objective`."""
        weight = self._source_loss * max(0.0, 1.0 - 2.0 * share)
        return self._batch([self._train[i] for i in self._order.members(step)], weight)

    def look(self, plan: Plan) -> Iterable[Batch]:
        """All of the tune split, or its first 2,000 examples."""
        lengths = [e.num_tokens for e in self._tune]
        for members in by_length(lengths, together=_LOOK_LANES, most_tokens=_LOOK_TOKENS):
            yield self._batch([self._tune[i] for i in members], 0.0)

    def _batch(self, examples: Sequence[Example], source_weight: float) -> Batch:
        ends = {"end_id": self._end, "separator": self._separator}
        return self._order.in_parts(stream_batch(examples, **ends, source_weight=source_weight))

    @torch.no_grad()
    def measure(self, model: nn.Module, batches: Iterable[Batch], *, world: World = ALONE) -> float:
        """Mean nats of a token of the target."""
        assert isinstance(model, LanguageModel)
        total, weight = 0.0, 0.0
        for batch in batches:
            nats, weights = stream_nats(model, batch)
            total, weight = total + float((nats * weights).sum()), weight + float(weights.sum())
        return total / max(1.0, weight)
