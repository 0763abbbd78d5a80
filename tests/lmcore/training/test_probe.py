"""How fast this machine is, in which precision and on how many threads."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.training import probe as probe_module
from lmcore.training.step import StepResult


def test_the_probe_does_not_touch_the_run(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.train("a")
    monkeypatch.setattr(probe_module, "_MIN_STEPS", 9)
    assert bench.weights(bench.train("b", checkpoint_seconds=0.02)) == bench.weights(first)


def test_a_typical_step_is_one_of_those_that_take_the_time() -> None:
    # Equal steps: their median, whatever one of them met.
    assert probe_module.typical_seconds([1.0, 9.0, 1.5], [10, 10, 10]) == 0.15
    # Two short steps of 1 s, one of four times the length that takes ten times as long a token.
    assert probe_module.typical_seconds([1.0, 1.0, 40.0], [10, 10, 40]) == 1.0
    assert probe_module.typical_seconds([1.0, 2.0, 4.0], [10, 10, 10]) == 0.2


def test_bfloat16_that_does_not_work_is_not_used(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = probe_module.backward_step

    def broken(*args: Any, **kwargs: Any) -> StepResult:
        if kwargs["precision"] == "bfloat16":
            raise RuntimeError("could not create a primitive descriptor")
        return real(*args, **kwargs)

    monkeypatch.setattr(probe_module, "backward_step", broken)
    assert bench.train(precision="auto").summary["precision"] == "float32"


@pytest.mark.parametrize(
    ("seconds_of_one", "bound", "expected"),
    [
        (0.01, {"budget_seconds": 1.0}, 1),
        (0.5, {"budget_seconds": 1.0}, 2),
        (0.01, {"max_steps": 3}, 2),
    ],
)
def test_a_budget_takes_the_faster_number_of_threads(
    bench: Any,
    monkeypatch: pytest.MonkeyPatch,
    seconds_of_one: float,
    bound: dict[str, float],
    expected: int,
) -> None:
    def timed(*_: Any, **__: Any) -> float:
        return seconds_of_one if torch.get_num_threads() == 1 else 0.1

    monkeypatch.setattr(probe_module, "_time_steps", timed)
    monkeypatch.setattr(probe_module, "_MOST_SHARE", 9.0)
    torch.set_num_threads(2)
    assert bench.train(**bound).plan().threads == expected
    assert torch.get_num_threads() == 2


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.001, 9), st.integers(1, 500)), min_size=1, max_size=9),
    st.floats(0.1, 10),
)
def test_a_typical_step_is_one_of_the_steps_and_scales_with_the_clock(
    steps: list[tuple[float, int]], factor: float
) -> None:
    times, sizes = [seconds for seconds, _ in steps], [size for _, size in steps]
    found = probe_module.typical_seconds(times, sizes)
    assert found in [seconds / size for seconds, size in steps]
    faster = probe_module.typical_seconds([factor * seconds for seconds in times], sizes)
    assert faster == pytest.approx(factor * found)


def test_a_machine_in_trouble_is_asked_about_the_first_choice_alone(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def timed(*_: Any, **kwargs: Any) -> float:
        asked.append(kwargs["precision"])
        return 4.0

    monkeypatch.setattr(probe_module, "_time_steps", timed)
    torch.set_num_threads(2)
    plan = bench.train(budget_seconds=60.0, checkpoint_seconds=100.0, precision="auto").plan()
    assert asked == ["float32"]
    # One thread is what never waits for another.
    assert (plan.precision, plan.threads) == ("float32", 1)
    assert plan.steps == 14


def test_a_stop_in_the_probe_ends_it_before_the_next_layer(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    real = probe_module.backward_step

    def step(*args: Any, **kwargs: Any) -> StepResult:
        begun.append(1)
        result = real(*args, **kwargs)
        assert len(begun) == 1, "the step went on to its end"
        return result

    monkeypatch.setattr(probe_module, "backward_step", step)
    stop = bench.interrupted_when(lambda: len(begun) == 2)
    assert (stop.step, stop.steps) == (0, 0)
    assert "before its first step" in str(stop)
    assert not (stop.where / "plan.json").exists()
    monkeypatch.undo()
    assert bench.weights(bench.train()) == bench.weights(bench.train("whole"))
