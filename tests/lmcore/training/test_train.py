"""A training learns, says what it did, and is the same again for the same inputs."""

from collections.abc import Callable
from typing import Any

import torch

from lmcore.training.events import TrainingEvent

STEPS = 12


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
    assert bench.weights(first) == bench.weights(second)
    assert bench.timeless(first) == bench.timeless(second)
    assert bench.weights(bench.train("c", seed=1)) != bench.weights(first)


def test_bfloat16_trains_where_it_is_asked_for(bench: Any) -> None:
    checkpoint = bench.train(precision="bfloat16", max_steps=30)
    assert checkpoint.summary["precision"] == "bfloat16"
    assert checkpoint.summary["tune_bits_per_byte"] < 7.0


def test_a_corpus_of_a_few_words_trains(make_bench: Callable[..., Any]) -> None:
    checkpoint = make_bench(texts=["abc"], tune=["x"]).train(max_steps=3)
    assert checkpoint.summary["tokens_seen"] == 3 * 4
    assert checkpoint.summary["dropout"] == 0.1
