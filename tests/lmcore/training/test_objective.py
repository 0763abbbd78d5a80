"""What language modelling minimises: batches, looks, rates and losses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lmcore.data.tokens.batches import BatchOrder
from lmcore.data.tokens.layout import plan_layout
from lmcore.training.objective import NextToken
from lmcore.training.step import TrainingLoss, bits_per_byte


@pytest.fixture
def objective(shared_bench: Any) -> NextToken:
    stream = shared_bench.corpus.train_stream
    layout = plan_layout(len(stream), batch_size=4, sequence_length=16)
    return NextToken(
        order=BatchOrder(stream=stream, layout=layout, seed=3),
        tune=shared_bench.corpus.tune_stream,
        piece_bytes=np.array([len(piece) for piece in shared_bench.corpus.loaded.pieces]),
    )


def test_a_step_reads_what_the_order_says_whatever_lies_behind(
    objective: NextToken,
) -> None:
    for step in (0, 7, 1000):
        wanted = objective.order.batch(step)
        for share in (0.0, 0.9):
            found = objective.batch(step, share=share)
            assert found.inputs.tolist() == wanted.inputs.tolist()
            assert found.targets.tolist() == wanted.targets.tolist()
            assert found.fresh == wanted.fresh
    assert objective.num_outcomes == 257
    assert objective.carries_state


def test_a_look_is_the_tune_split_in_the_shape_of_the_plan(
    objective: NextToken, bench: Any
) -> None:
    checkpoint = bench.train(max_steps=3, evaluations=1)
    plan = checkpoint.plan()
    batches = list(objective.look(plan))
    assert {batch.inputs.shape for batch in batches} == {(plan.batch_size, plan.sequence_length)}
    assert sum(batch.inputs.size for batch in batches) <= plan.evaluation_tokens
    assert [batch.fresh for batch in batches] == [True] + [False] * (len(batches) - 1)
    model = checkpoint.load("final")
    found = objective.measure(model, batches)
    assert found == bits_per_byte(model, batches, piece_bytes=objective.piece_bytes)
    # What the run itself logged is the same look.
    assert found == pytest.approx(checkpoint.summary["final_tune_bits_per_byte"], rel=1e-5)
    assert objective.look_key == "tune_bits_per_byte"


def test_bytes_of_a_look_are_those_of_the_documents(objective: NextToken, bench: Any) -> None:
    """A tokenizer that puts a space before each text, or lowers it, makes nothing cheaper."""
    checkpoint = bench.train(max_steps=1)
    model, batches = checkpoint.load(), list(objective.look(checkpoint.plan()))
    tune = replace(objective.tune, spelled_bytes=2 * objective.tune.num_bytes)
    changed = replace(objective, tune=tune).measure(model, batches)
    assert changed == pytest.approx(2 * objective.measure(model, batches))


def test_all_weights_learn_at_one_rate_and_only_matrices_decay(
    objective: NextToken, bench: Any
) -> None:
    model = bench.train(max_steps=1).load()
    optimizer = objective.optimizer(model, weight_decay=0.3)
    objective.set_rates(model, optimizer, rate=0.02, share=5 / 9)
    assert {group["lr"] for group in optimizer.param_groups} == {0.02}
    decays = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for parameter in model.parameters():
        assert decays.pop(id(parameter)) == (0.3 if parameter.ndim >= 2 else 0.0)
    assert not decays


def test_the_loss_is_that_of_a_language_model(objective: NextToken, bench: Any) -> None:
    model = bench.train(max_steps=1).load()
    losses = objective.losses(model)
    assert isinstance(losses, TrainingLoss)
    assert [*losses.parameters()] == [*model.parameters()]
    with pytest.raises(AssertionError):
        objective.losses(nn.Linear(2, 2))
    with torch.no_grad():
        total, weight, state = losses(
            torch.tensor([[256, 97]]), torch.tensor([[97, 98]]), state=None, rng=None
        )
    assert weight.item() == 2
    assert total.item() > 0
    assert state.tensors()
