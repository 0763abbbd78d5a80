"""A plan is made once and followed, and the folder of a checkpoint is filled."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lmcore.errors import ConfigError
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingEvent
from lmcore.training.run import find_device

STEPS = 12


def test_a_damaged_plan_starts_over(bench: Any) -> None:
    where = bench.interrupted(after=5).where
    (where / "plan.json").write_text('{"steps": ')
    assert bench.weights(bench.train()) == bench.weights(bench.train("whole"))


def test_a_recorded_plan_is_followed_again(bench: Any) -> None:
    first = bench.train(budget_seconds=1.0, precision="auto")
    events: list[TrainingEvent] = []
    second = bench.train(
        "again", budget_seconds=1.0, precision="auto", replay=first.plan(), on_event=events.append
    )
    assert second.plan() == first.plan()
    assert bench.weights(second) == bench.weights(first)
    assert bench.timeless(second) == bench.timeless(first)


def test_threads_of_the_plan_are_used_and_put_back(bench: Any) -> None:
    plan = bench.train("first").plan()
    assert plan.threads == 1
    torch.set_num_threads(2)
    seen: list[int] = []
    bench.train(replay=plan, on_event=lambda _: seen.append(torch.get_num_threads()))
    assert set(seen[1:]) == {1}
    assert torch.get_num_threads() == 2


def test_without_tune_text_the_last_weights_are_the_best(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(tune=[])
    checkpoint = bench.train()
    assert checkpoint.summary["tune_bits_per_byte"] is None
    assert checkpoint.summary["best_step"] == STEPS
    assert bench.weights(checkpoint)[0] == bench.weights(checkpoint)[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_device_is_named(bench: Any) -> None:
    with pytest.raises(ConfigError, match=r"training\.device is cuda"):
        bench.train(device="cuda")


def test_a_processor_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_device(TrainingConfig(device="cpu")) == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_device(TrainingConfig(device="auto")) == "cpu"


def test_each_process_needs_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    two, four = (TrainingConfig(launcher="torchrun", processes=number) for number in (2, 4))
    assert find_device(two) == "cuda"
    with pytest.raises(ConfigError, match=r"training\.processes=4, but torch finds 2 CUDA"):
        find_device(four)
    assert find_device(four.model_copy(update={"device": "cpu"})) == "cpu"
    assert find_device(four.model_copy(update={"hosts": 2})) == "cuda"
    eight = TrainingConfig(launcher="torchrun", processes=8, hosts=2)
    with pytest.raises(ConfigError, match=r"training\.processes=8 on 2 hosts, but torch finds 2"):
        find_device(eight)
    # Who started the ranks knows how many a host has.
    assert find_device(TrainingConfig(launcher="external", processes=8)) == "cuda"


def test_a_plan_is_told_once_before_the_first_step(bench: Any) -> None:
    events: list[TrainingEvent] = []
    bench.interrupted(after=2, on_event=events.append)
    (plan,) = [event for event in events if event.kind == "plan"]
    assert (plan.step, plan.steps) == (0, STEPS)
    assert plan.message.startswith("12 steps of 64 tokens (")
    assert " in float32 on 1 thread, about " in plan.message
    events.clear()
    bench.train(on_event=events.append)
    assert "plan" not in {event.kind for event in events}
