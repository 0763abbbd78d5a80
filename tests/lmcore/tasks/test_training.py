"""A task is trained in stages, goes on after a stop, and shares its budget between them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from safetensors.torch import load_file

from lmcore.errors import SourceError
from lmcore.training.events import TrainingInterrupted

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
