"""Scores of classes: what a classifier, and its counted words alone, say of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from lmcore.evaluation.statistics.intervals import FloatArray
from lmcore.tasks.learning.classifier import TextClassifier
from lmcore.tasks.learning.examples import Example, side_by_side
from lmcore.tasks.learning.objectives import classifier_inputs
from lmcore.training.step import to_tensor

#: Told how many texts are answered.
OnAnswered = Callable[[int], None]


def nobody_asks(answered: int) -> None:
    """An `OnAnswered` for whoever waits."""


def class_logits(
    model: TextClassifier,
    examples: Sequence[Example],
    *,
    end_id: int,
    on_answered: OnAnswered = nobody_asks,
) -> FloatArray:
    """Scores of the classes, float64 [N, C], each text as if it were alone."""
    return of_examples(model, examples, end_id, model, on_answered=on_answered)


def word_logits(model: TextClassifier, examples: Sequence[Example], *, end_id: int) -> FloatArray:
    """What counted words add to them, float64 [N, C]."""
    assert model.word_counts is not None
    return of_examples(model.word_counts, examples, end_id, model)


@torch.no_grad()
def of_examples(
    score: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    examples: Sequence[Example],
    end_id: int,
    model: TextClassifier,
    *,
    on_answered: OnAnswered = nobody_asks,
) -> FloatArray:
    """What a score says of each text, as if it were alone, float64 [N, C]."""
    answered = 0
    device = next(model.parameters()).device
    result = np.zeros((len(examples), model.num_labels), dtype=np.float64)
    lengths = [len(e.source) + 1 for e in examples]
    for members in side_by_side(lengths, model.language_model.reading):
        inputs, present = classifier_inputs([examples[i] for i in members], end_id=end_id)
        found = score(to_tensor(inputs, device), torch.from_numpy(present).to(device))
        result[members] = found.double().cpu().numpy()
        answered += len(members)
        on_answered(answered)
    return result
