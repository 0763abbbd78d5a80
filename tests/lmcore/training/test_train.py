import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmcore.errors import ConfigError, TrainingError
from lmcore.training import loop as loop_module
from lmcore.training import objective as objective_module
from lmcore.training import probe as probe_module
from lmcore.training.checkpoint import Checkpoint
from lmcore.training.events import TrainingEvent, TrainingInterrupted
from lmcore.training.step import StepResult

STEPS = 12


def weights(checkpoint: Checkpoint) -> tuple[str, str]:
    return checkpoint.summary["weights_sha256"], checkpoint.summary["final_weights_sha256"]


def timeless(checkpoint: Checkpoint) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in checkpoint.log()]


def test_training_learns_and_says_what_it_did(bench: Any) -> None:
    events: list[TrainingEvent] = []
    checkpoint = bench.train(max_steps=60, on_event=events.append)
    summary = checkpoint.summary
    looks = [
        line["tune_bits_per_byte"] for line in checkpoint.log() if line["kind"] == "evaluation"
    ]
    assert len(looks) == 3
    assert looks[-1] < looks[0] < 8.0
    assert summary["steps"] == 60
    assert summary["tune_bits_per_byte"] == min(looks)
    assert summary["final_tune_bits_per_byte"] == looks[-1]
    assert summary["tokens_seen"] == 60 * 4 * 16
    assert summary["params"] == checkpoint.load().num_parameters
    assert summary["precision"] == "float32"
    assert summary["recoveries"] == 0
    assert not summary["stopped_early"]
    assert summary["train_tokens_per_second"] > 0
    assert {event.kind for event in events} >= {"plan", "step", "evaluation", "checkpoint", "done"}
    assert events[0].kind == "plan"
    assert all(event.steps == 60 for event in events)
    files = {p.relative_to(checkpoint.path).as_posix() for p in checkpoint.path.rglob("*.*")}
    assert files == {
        "manifest.json",
        "plan.json",
        "log.jsonl",
        "consumed.json",
        *(f"{w}/{f}" for w in ("best", "final") for f in ("model.json", "model.safetensors")),
    }


def test_log_has_a_line_a_step_with_units(bench: Any) -> None:
    lines = [line for line in bench.train().log() if line["kind"] == "step"]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    # It begins with how frequent tokens are, and with nothing else.
    shares = bench.corpus.train_stream.frequencies(257) / len(bench.corpus.train_stream)
    entropy = -sum(share * math.log(share) for share in shares if share)
    assert lines[0]["loss_nats"] == pytest.approx(entropy, rel=0.1)
    assert lines[-1]["tokens"] == STEPS * 64
    assert set(lines[0]) == {
        "kind",
        "step",
        "tokens",
        "loss_nats",
        "learning_rate",
        "grad_norm",
        "seconds",
    }


def test_the_same_call_returns_the_same_folder_without_training(bench: Any) -> None:
    first = bench.train()
    events: list[TrainingEvent] = []
    again = bench.train(on_event=events.append)
    assert again.path == first.path
    assert not events
    assert bench.train(nonce=1).path != first.path
    assert not list((bench.root / "work" / "runs").iterdir())


def test_training_is_deterministic_and_leaves_the_callers_randomness_alone(bench: Any) -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first = bench.train("a")
    assert torch.equal(torch.rand(2), expected)
    second = bench.train("b")
    assert weights(first) == weights(second)
    assert timeless(first) == timeless(second)
    assert weights(bench.train("c", seed=1)) != weights(first)


@pytest.mark.parametrize("stop_at", [0, 1, 5, 11])
def test_stopping_saves_and_the_same_call_goes_on_bit_for_bit(bench: Any, stop_at: int) -> None:
    whole = bench.train("whole")
    calls = iter(range(1000))
    with pytest.raises(TrainingInterrupted, match=f"after step {stop_at} of {STEPS}") as caught:
        bench.train("parts", should_stop=lambda: next(calls) >= stop_at)
    assert caught.value.where.is_dir()
    events: list[TrainingEvent] = []
    resumed = bench.train("parts", on_event=events.append)
    assert [event.step for event in events if event.kind == "resume"] == [stop_at]
    assert weights(resumed) == weights(whole)
    assert timeless(resumed) == timeless(whole)
    assert not caught.value.where.exists()


def interrupt(bench: Any, at: int, **changes: Any) -> Path:
    calls = iter(range(1000))
    with pytest.raises(TrainingInterrupted) as caught:
        bench.train(should_stop=lambda: next(calls) >= at, **changes)
    return caught.value.where


def test_a_damaged_resume_point_falls_back_to_the_one_before(bench: Any) -> None:
    whole = bench.train("whole")
    replay = whole.plan().model_copy(update={"checkpoint_every": 3})
    reference = bench.train("reference", replay=replay)
    where = interrupt(bench, 7, replay=replay)
    newest = max((where / "points").iterdir())
    assert newest.name == "step-0000000007"
    (newest / "tensors.safetensors").write_bytes(b"damaged")
    events: list[TrainingEvent] = []
    resumed = bench.train(replay=replay, on_event=events.append)
    assert [event.kind for event in events[:2]] == ["recovery", "resume"]
    assert "passed over" in events[0].message
    assert events[1].step == 6
    assert weights(resumed) == weights(reference) == weights(whole)
    assert timeless(resumed) == timeless(reference)


def test_a_damaged_plan_starts_over(bench: Any) -> None:
    where = interrupt(bench, 5)
    (where / "plan.json").write_text('{"steps": ')
    assert weights(bench.train()) == weights(bench.train("whole"))


def test_a_recorded_plan_is_followed_again(bench: Any) -> None:
    first = bench.train(budget_seconds=1.0, precision="auto")
    events: list[TrainingEvent] = []
    second = bench.train(
        "again", budget_seconds=1.0, precision="auto", replay=first.plan(), on_event=events.append
    )
    assert second.plan() == first.plan()
    assert weights(second) == weights(first)
    assert timeless(second) == timeless(first)


def test_the_probe_does_not_touch_the_run(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench.train("a")
    monkeypatch.setattr(probe_module, "_MIN_STEPS", 9)
    assert weights(bench.train("b", checkpoint_seconds=0.02)) == weights(first)


def test_a_typical_step_is_one_of_those_that_take_the_time() -> None:
    # Equal steps: their median, whatever one of them met.
    assert probe_module.typical_seconds([1.0, 9.0, 1.5], [10, 10, 10]) == 0.15
    # Two short steps of 1 s, one of four times the length that takes ten times as long a token.
    assert probe_module.typical_seconds([1.0, 1.0, 40.0], [10, 10, 40]) == 1.0
    assert probe_module.typical_seconds([1.0, 2.0, 4.0], [10, 10, 10]) == 0.2


def test_threads_of_the_plan_are_used_and_put_back(bench: Any) -> None:
    plan = bench.train("first").plan()
    assert plan.threads == 1
    torch.set_num_threads(2)
    seen: list[int] = []
    bench.train(replay=plan, on_event=lambda _: seen.append(torch.get_num_threads()))
    assert set(seen[1:]) == {1}
    assert torch.get_num_threads() == 2


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


def test_bfloat16_trains_where_it_is_asked_for(bench: Any) -> None:
    checkpoint = bench.train(precision="bfloat16", max_steps=30)
    assert checkpoint.summary["precision"] == "bfloat16"
    assert checkpoint.summary["tune_bits_per_byte"] < 7.0


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
    torch.set_num_threads(2)
    assert bench.train(**bound).plan().threads == expected
    assert torch.get_num_threads() == 2


def sabotage(monkeypatch: pytest.MonkeyPatch, *, at: set[int]) -> None:
    """Make the loss of the n-th calls of the loop's step not a number."""
    real = loop_module.backward_step
    calls = iter(range(1, 1000))

    def step(*args: Any, **kwargs: Any) -> StepResult:
        result = real(*args, **kwargs)
        if next(calls) in at:
            return StepResult(loss_nats=math.nan, grad_norm=1.0, state=result.state)
        return result

    monkeypatch.setattr(loop_module, "backward_step", step)


def test_a_divergence_goes_back_once_at_half_the_rate(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = bench.train("plan", max_steps=20).plan().model_copy(update={"checkpoint_every": 4})
    plain = [line for line in bench.train("plan", max_steps=20).log() if line["kind"] == "step"]
    sabotage(monkeypatch, at={17})
    events: list[TrainingEvent] = []
    checkpoint = bench.train(max_steps=20, replay=plan, on_event=events.append)
    recovery = [event for event in events if event.kind == "recovery"]
    # Points stand at 12 and 16; both are within ten steps of the trouble, so it starts over.
    assert [event.step for event in recovery] == [0]
    assert "step 17" in recovery[0].message
    assert checkpoint.summary["recoveries"] == 1
    assert checkpoint.summary["steps"] == 20
    log = checkpoint.log()
    assert log[0] == {"kind": "recovery", "step": 0, "diverged_at": 17}
    steps = [line for line in log if line["kind"] == "step"]
    assert [line["step"] for line in steps] == list(range(1, 21))
    assert steps[4]["learning_rate"] == plain[4]["learning_rate"] / 2


def test_a_recovery_keeps_what_is_surely_sound(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = bench.train("plan", max_steps=30).plan().model_copy(update={"checkpoint_every": 8})
    sabotage(monkeypatch, at={22})
    checkpoint = bench.train(max_steps=30, replay=plan)
    log = checkpoint.log()
    assert {"kind": "recovery", "step": 8, "diverged_at": 22} in log
    assert [line["step"] for line in log if line["kind"] == "step"] == list(range(1, 31))


def test_a_second_divergence_is_an_error_that_names_the_step(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch, at={3, 5})
    with pytest.raises(TrainingError, match=r"diverged at step 2 .*learning_rate"):
        bench.train()


def test_an_absurd_learning_rate_fails_clearly(bench: Any) -> None:
    with pytest.raises(TrainingError, match=r"lower training\.learning_rate"):
        bench.train(max_steps=200, learning_rate=9.0, warmup_steps=0, gradient_clip=1e9)


def test_patience_stops_early_and_keeps_the_best(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The probe times three looks, then the run takes its own.
    values = iter([9.0, 9.0, 9.0, 3.0, 2.0, 2.5, 2.6, 1.0])
    monkeypatch.setattr(objective_module, "bits_per_byte", lambda *a, **k: next(values))
    checkpoint = bench.train(max_steps=25, evaluations=5, patience=2)
    summary = checkpoint.summary
    assert (summary["steps"], summary["best_step"], summary["stopped_early"]) == (20, 10, True)
    assert (summary["tune_bits_per_byte"], summary["final_tune_bits_per_byte"]) == (2.0, 2.6)
    assert weights(checkpoint)[0] != weights(checkpoint)[1]
    assert checkpoint.consumed("best").steps == 10
    assert checkpoint.consumed("final").steps == 20


def test_consumed_names_the_documents_that_were_read(bench: Any) -> None:
    checkpoint = bench.train(max_steps=7)
    consumed = checkpoint.consumed("final")
    assert consumed.tokens == 7 * 64
    assert sum(stop - start for start, stop in consumed.ranges) == 7 * 64
    seen = checkpoint.consumed_documents(bench.corpus.shards, "final")
    stream = bench.corpus.train_stream
    expected = np.zeros(len(seen), dtype=bool)
    for start, stop in consumed.ranges:
        for index in stream.documents(start, stop):
            expected[index] = True
    assert seen.tolist() == expected.tolist()
    assert 0 < seen.sum() < len(seen)


def test_without_tune_text_the_last_weights_are_the_best(make_bench: Callable[..., Any]) -> None:
    checkpoint = make_bench(tune=[]).train()
    assert checkpoint.summary["tune_bits_per_byte"] is None
    assert checkpoint.summary["best_step"] == STEPS
    assert weights(checkpoint)[0] == weights(checkpoint)[1]


def test_a_corpus_of_a_few_words_trains(make_bench: Callable[..., Any]) -> None:
    checkpoint = make_bench(texts=["abc"], tune=["x"]).train(max_steps=3)
    assert checkpoint.summary["tokens_seen"] == 3 * 4
    assert checkpoint.summary["dropout"] == 0.1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_missing_device_is_named(bench: Any) -> None:
    with pytest.raises(ConfigError, match=r"training\.device is cuda"):
        bench.train(device="cuda")


def test_plan_and_log_are_plain_json(bench: Any) -> None:
    checkpoint = bench.train()
    plan = json.loads((checkpoint.path / "plan.json").read_text())
    assert plan["steps"] == STEPS
    assert plan["threads"] == 1
    assert plan["tokens_per_second"] > 0
