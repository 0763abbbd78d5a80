"""A task is trained in stages, goes on after a stop, and shares its budget between them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from lmcore.errors import SourceError
from lmcore.model.config import ModelConfig
from lmcore.model.factory import new_model, save_model
from lmcore.tasks.base_model import BaseModel
from lmcore.tasks.config import FineTuningConfig
from lmcore.tasks.training import model_shape, shared
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingEvent, TrainingInterrupted

Rows = Callable[..., list[tuple[str, str]]]


@pytest.mark.slow
def test_a_stopped_training_goes_on_bit_for_bit(bench: Any, reviews: Rows, tmp_path: Any) -> None:
    config = bench.config("sentiment", reviews(200), max_steps=40)
    whole = bench.train(config)
    other = type(bench)(tmp_path / "other")
    other.root.mkdir()
    for number in (5, 20, 4):  # in the first stage, and twice in the second
        asked = iter(range(1000))
        with pytest.raises(TrainingInterrupted):
            other.train(config, should_stop=lambda asked=asked, n=number: next(asked) >= n)
    again = other.train(config)
    for which in ("best", "final"):
        first, second = (load_file(c.path / which / "model.safetensors") for c in (whole, again))
        assert first.keys() == second.keys()
        assert all(first[name].equal(second[name]) for name in first)
    records = [json.loads((c.path / "best" / "task.json").read_text()) for c in (whole, again)]
    assert records[0] == records[1]


def test_one_class_is_no_classification(bench: Any) -> None:
    config = bench.config("sentiment", [(f"text number {i}", "same") for i in range(50)])
    with pytest.raises(SourceError, match="at least two"):
        bench.train(config)


@pytest.mark.parametrize(
    ("bound", "first", "second"),
    [
        ({"max_steps": 100}, 40, 60),
        ({"max_steps": 1}, 1, 1),
        ({"budget_seconds": 10.0}, 4.0, 6.0),
        ({"max_epochs": 5.0}, 2.0, 3.0),
    ],
)
def test_a_budget_is_shared_between_the_stages(
    bound: dict[str, float], first: float, second: float
) -> None:
    training = TrainingConfig.model_validate({**bound, "learning_rate": 0.008, "seed": 3})
    (name,) = bound
    parts = shared(training, 0.4, rate=1.0)
    assert [getattr(part, name) for part in parts] == pytest.approx([first, second])
    for part in parts:
        assert part.model_copy(update={name: getattr(training, name)}) == training
    # Weights that know something already are bent, not wiped out.
    slow, whole = shared(training, 0.4, rate=0.25)
    assert (slow.learning_rate, whole.learning_rate) == (0.002, 0.008)


def test_the_shape_is_the_bases_and_dropout_is_the_configured_one(tmp_path: Path) -> None:
    wide = ModelConfig(pattern="LA", d_model=32, num_heads=2, head_dim=8, dropout=0.3)
    save_model(new_model(wide, vocab_size=9, end_id=8, seed=0, device="cpu"), tmp_path)
    base = BaseModel(model="m", version=1, key="k", weights=tmp_path, tokenizer=tmp_path)
    configured = ModelConfig(d_model=64, dropout=0.1)
    found = model_shape(configured, base)
    assert (found.d_model, found.pattern, found.dropout) == (32, "LA", 0.1)
    assert model_shape(configured, None) is configured


def test_events_say_in_which_stage_they_happen(bench: Any, reviews: Rows) -> None:
    told: list[TrainingEvent] = []
    checkpoint = bench.train(
        bench.config("sentiment", reviews(60), max_steps=5, evaluations=1), on_event=told.append
    )
    stages = [event.stage for event in told]
    assert set(stages) == {"adaptation", ""}
    assert stages == sorted(stages, reverse=True)
    assert {event.steps for event in told if event.stage} == {2}
    assert {event.steps for event in told if not event.stage} == {3}
    facts = checkpoint.summary["adaptation"]
    assert (facts["steps"], facts["plan"]["steps"]) == (2, 2)
    # The rate of the second stage is a quarter of the configured one: it starts from the first.
    assert checkpoint.plan().learning_rate == pytest.approx(0.01 / 4)
    assert facts["plan"]["learning_rate"] == 0.01


def test_without_a_first_stage_weights_are_random_and_the_rate_is_whole(
    bench: Any, reviews: Rows, scratch: FineTuningConfig
) -> None:
    config = bench.config("sentiment", reviews(60), max_steps=2, evaluations=1)
    checkpoint = bench.train(config, settings=scratch)
    assert checkpoint.summary["adaptation"] is None
    assert checkpoint.summary["base"] is None
    assert checkpoint.summary["task"] == "sentiment"
    assert checkpoint.plan().learning_rate == 0.01
    again = bench.train(config, settings=scratch)
    assert again.path == checkpoint.path
