"""What is minimised: batches of both kinds of task, which layers may learn, and looks."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional

from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model
from lmcore.tasks.learning import objectives
from lmcore.tasks.learning.classifier import TextClassifier
from lmcore.tasks.learning.examples import Example, ExampleOrder
from lmcore.tasks.learning.objectives import (
    Classification,
    LayerRates,
    SourceToTarget,
    classifier_inputs,
    count_words,
    texts_to_measure,
)
from lmcore.tasks.learning.streams import stream_nats
from lmcore.training.plan import Plan

Make = Callable[..., Example]


def test_of_too_much_text_every_class_is_counted(
    example: Make, pieces: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objectives, "_COUNTED_TOKENS", 60)
    examples = [example([label, 5], []) for label in (0, 1) for _ in range(100)]
    model = count_words(examples, [0] * 100 + [1] * 100, num_labels=2, pieces=pieces, end_id=9)
    first, second = model.scores(torch.tensor([[9, 0], [9, 1]]), torch.ones(2, 2))
    assert first[0] > first[1]
    assert second[1] > second[0]


def order(examples: list[Example], *, batch_size: int = 2) -> ExampleOrder:
    lengths = [e.num_tokens for e in examples]
    return ExampleOrder(lengths, batch_size=batch_size, seed=0, fingerprint="f")


def classification(
    examples: list[Example], *, tune_labels: list[int], **rates: float
) -> Classification:
    return Classification(
        train=examples,
        labels=[n % 2 for n in range(len(examples))],
        tune=examples,
        tune_labels=tune_labels,
        order=order(examples),
        end_id=9,
        num_labels=2,
        rates=LayerRates(**rates),
    )


def translation(examples: list[Example]) -> SourceToTarget:
    return SourceToTarget(
        train=examples,
        tune=examples,
        order=order(examples),
        end_id=9,
        separator=10,
        source_loss=0.4,
        num_outcomes=11,
    )


# A look of a task reads all there is, whatever the plan says.
PLAN: Any = Plan.model_construct()


def test_a_text_is_read_behind_the_end_token_and_padded(example: Make) -> None:
    inputs, present = classifier_inputs([example([4, 5, 6]), example([])], end_id=9)
    assert inputs.tolist() == [[9, 4, 5, 6], [9, 0, 0, 0]]
    assert present.tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]


def test_a_batch_has_the_class_of_each_of_its_texts(example: Make) -> None:
    examples = [example([n, n]) for n in range(6)]
    objective = classification(examples, tune_labels=[0] * 6)
    found = [
        (int(text[1]), int(label))
        for step in range(3)
        for batch in (objective.batch(step, share=step / 9),)
        for text, label in zip(batch.inputs, batch.targets, strict=True)
    ]
    assert sorted(found) == [(n, n % 2) for n in range(6)]
    assert objective.batch(0, share=0.0).fresh
    assert objective.num_outcomes == 2


def test_a_look_leaves_out_what_has_no_known_class(
    example: Make, classifier: Callable[..., TextClassifier]
) -> None:
    examples = [example([n] * (n + 1)) for n in range(4)]
    objective = classification(examples, tune_labels=[1, -1, 0, -1])
    batches = list(objective.look(PLAN))
    assert [(b.inputs[:, 1].tolist(), b.targets.tolist()) for b in batches] == [([0, 2], [1, 0])]
    model = classifier()
    by_hand = [
        functional.cross_entropy(model(torch.tensor([text]), torch.ones(1, len(text))), wanted)
        for text, wanted in (([9, 0], torch.tensor([1])), ([9, 2, 2, 2], torch.tensor([0])))
    ]
    with torch.no_grad():
        wanted = float(sum(by_hand)) / 2
    assert objective.measure(model, batches) == pytest.approx(wanted, rel=1e-5)
    assert objective.measure(model, []) == 0


def test_texts_are_measured_evenly_and_in_small_batches(
    example: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objectives, "_MEASURED_TOKENS", 60)
    monkeypatch.setattr(objectives, "_MEASURED_AT_ONCE", 12)
    examples = [example([n // 10] * 2) for n in range(90)]
    batches = list(texts_to_measure(examples, end_id=9, device="cpu"))
    assert {tokens.shape[1] for tokens, _ in batches} == {3}
    assert max(tokens.numel() for tokens, _ in batches) == 12
    found = torch.cat([tokens[:, 1] for tokens, _ in batches])
    assert len(found) == 20
    assert set(found.tolist()) == set(range(9))
    few = list(texts_to_measure(examples[:3], end_id=9, device="cpu"))
    assert sum(len(tokens) for tokens, _ in few) == 3


def test_a_head_may_learn_faster_than_what_is_below(
    example: Make, classifier: Callable[..., TextClassifier]
) -> None:
    model = classifier()
    objective = classification([example([1]), example([2])], tune_labels=[0, 1], head=10.0)
    optimizer = objective.optimizer(model, weight_decay=0.0)
    objective.set_rates(model, optimizer, rate=0.5, share=0.0)
    rates = {group["depth"]: group["lr"] for group in optimizer.param_groups}
    assert rates == {0: 5.0, 1: 0.5, 2: 0.5, 3: 0.5}


def test_layers_are_freed_from_the_top_and_the_lower_ones_learn_slower(
    example: Make, classifier: Callable[..., TextClassifier]
) -> None:
    model = classifier()
    objective = classification(
        [example([1]), example([2])], tune_labels=[0, 1], decay=2.0, unfreezing_share=0.5
    )
    optimizer = objective.optimizer(model, weight_decay=0.1)
    depths = model.depths()
    # Head, two blocks, embedding: one more of them every sixth of the run, up to its half.
    assert len(depths) == 4
    for step, free in ((0, 1), (9, 1), (10, 2), (19, 2), (20, 3), (30, 4), (59, 4)):
        objective.set_rates(model, optimizer, rate=0.8, share=step / 60)
        learns = [{p.requires_grad for p in layer} for layer in depths]
        assert learns == [{depth < free} for depth in range(4)], step
        rates = {group["depth"]: group["lr"] for group in optimizer.param_groups}
        assert rates == pytest.approx({0: 0.8, 1: 0.4, 2: 0.2, 3: 0.1})


def test_by_default_all_layers_learn_alike_and_from_the_start(
    example: Make, classifier: Callable[..., TextClassifier]
) -> None:
    model = classifier()
    objective = classification([example([1]), example([2])], tune_labels=[0, 1])
    optimizer = objective.optimizer(model, weight_decay=0.1)
    objective.set_rates(model, optimizer, rate=0.8, share=0.0)
    assert {group["lr"] for group in optimizer.param_groups} == {0.8}
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_source_counts_less_and_less_and_nothing_in_the_second_half(example: Make) -> None:
    examples = [example([1, 2], [3]), example([4], [5])]
    objective = SourceToTarget(
        train=examples,
        tune=examples,
        order=order(examples),
        end_id=9,
        separator=10,
        source_loss=0.4,
        num_outcomes=11,
    )
    found = []
    for step in (0, 25, 50, 99):
        weights = objective.batch(step, share=step / 100).weights
        assert weights is not None
        found.append({round(float(w), 3) for w in weights.flat} - {1.0, 0.0})
    assert found == [{0.4}, {0.2}, set(), set()]
    assert objective.num_outcomes == 11
    (look,) = objective.look(PLAN)
    assert look.weights is not None
    assert sorted(look.weights.sum(1).tolist()) == [2, 2]


def test_a_writers_look_is_nats_of_a_token_of_the_target(example: Make) -> None:
    examples = [example([1, 2], [3, 4, 5]), example([4], [5])]
    objective = SourceToTarget(
        train=examples,
        tune=examples,
        order=order(examples),
        end_id=9,
        separator=10,
        source_loss=0.4,
        num_outcomes=11,
    )
    shape = ModelConfig(pattern="L", d_model=16, num_heads=2, head_dim=8, embedding_dim=8)
    model = new_model(shape, vocab_size=11, end_id=9, seed=0, device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    # A model of zeros guesses: each of eleven tokens costs as much.
    batches = list(objective.look(PLAN))
    assert objective.measure(model, batches) == pytest.approx(math.log(11))
    nats, weights = stream_nats(model, batches[0])
    assert nats.shape == weights.shape == batches[0].inputs.shape
    assert float(weights.sum()) == 4 + 2
    assert objective.measure(model, []) == 0
