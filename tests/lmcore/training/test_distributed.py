"""Many processes do what one does: the same rows, masks, losses and decisions."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmcore.errors import ConfigError
from lmcore.training import distributed
from lmcore.training.distributed import ALONE, World, process_group
from lmcore.training.hosts.surroundings import Surroundings

# Sums of float32 in another order; the optimizer divides small gradients by small ones, so it
# grows with the steps. Other masks, rows or a missing average are off by 1e-2 and more.
LOSS_TOLERANCE_NATS = 1e-4


def steps(result: dict[str, Any]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in result["log.jsonl"].splitlines()]
    return [line for line in lines if line["kind"] == "step"]


def outcome(result: dict[str, Any]) -> dict[str, Any]:
    """All that must be the same bits whatever happened on the way; seconds are not."""
    lines = [json.loads(line) for line in result["log.jsonl"].splitlines()]
    return {
        "log": [{k: v for k, v in line.items() if k != "seconds"} for line in lines],
        "point": result["point"]["tensors.safetensors"],
        "weights": [result["summary"][k] for k in ("weights_sha256", "final_weights_sha256")],
    }


@given(size=st.integers(1, 9), lanes=st.integers(0, 40))
def test_each_lane_belongs_to_one_rank(size: int, lanes: int) -> None:
    rows = [World(rank=rank, size=size).rows(lanes) for rank in range(size)]
    assert [lane for part in rows for lane in range(lanes)[part]] == list(range(lanes))
    if lanes % size == 0:
        assert {part.stop - part.start for part in rows} == {lanes // size}


def test_a_world_of_one_changes_nothing() -> None:
    module, tensor = torch.nn.Linear(2, 2), torch.zeros(3)
    assert ALONE.averaging(module) is module
    assert ALONE.gather_lanes([tensor])[0] is tensor
    assert (ALONE.sums(0.1, 2.0), ALONE.means(0.1)) == ([0.1, 2.0], [0.1])
    assert (ALONE.agree(3.0), ALONE.agree_text("a")) == (3.0, "a")


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_get_the_same_numbers(ranks: Any, size: int) -> None:
    results = [
        json.loads((ranks.root / f"collectives-{size}-{rank}.json").read_text())
        for rank in range(size)
    ]
    total = {2: 0.1 + 0.2, 3: 0.1 + 0.2 + 0.1 * 3}[size]
    for result in results:
        assert result["sums"] == [total, sum(range(size))]
        assert result["means"] == [sum(range(size)) / size, pytest.approx(1 / 3)]
        assert result["agree"] == 7
        assert result["text"] == "größer"
    assert len({json.dumps([r["sums"], r["means"]]) for r in results}) == 1
    lanes = list(range(6))
    assert results[0]["gathered"] == [lanes, [lane > 2 for lane in lanes], lanes]
    assert results[0]["dtypes"] == ["torch.float32", "torch.bool", "torch.int64"]
    assert all(result["gathered"] == [] for result in results[1:])


@pytest.mark.parametrize("suffix", ["", " without dropout"])
def test_two_processes_read_and_learn_what_one_does(ranks: Any, suffix: str) -> None:
    one = ranks.result(f"one{suffix}")
    two = [ranks.result(f"two{suffix}", rank) for rank in range(2)]
    assert len(one["rows"]) == len(two[0]["rows"]) == 12
    for whole, first, second in zip(one["rows"], two[0]["rows"], two[1]["rows"], strict=True):
        assert whole[0] == first[0] + second[0]
        assert whole[1] == first[1] + second[1]
        assert whole[2] == first[2] == second[2]
        assert len(first[0]) == len(second[0]) == 3
    for alone, shared in zip(steps(one), steps(two[0]), strict=True):
        assert shared["loss_nats"] == pytest.approx(alone["loss_nats"], abs=LOSS_TOLERANCE_NATS)
        assert shared["grad_norm"] == pytest.approx(alone["grad_norm"], rel=1e-3)
    looks = [result["summary"]["tune_bits_per_byte"] for result in (one, two[0])]
    assert looks[1] == pytest.approx(looks[0], abs=1e-4)
    assert steps(one)[-1]["loss_nats"] < steps(one)[0]["loss_nats"] - 0.3
    plans = [json.loads(result["plan.json"]) for result in (one, two[0])]
    assert [plan["processes"] for plan in plans] == [1, 2]
    assert plans[0]["steps"] == plans[1]["steps"]
    # One rank reports.
    assert one["events"]
    assert not two[1]["events"]


@pytest.mark.parametrize("size", ["two", "three", "two in parts", "three in parts"])
def test_ranks_that_were_killed_or_stopped_end_with_the_same_bits(ranks: Any, size: str) -> None:
    unbroken = ranks.result(size)
    broken = ranks.result(f"{size} broken")
    assert len(broken["rows"]) < 12
    assert broken["events"][0].startswith("resume")
    assert outcome(broken) == outcome(unbroken)


def test_a_resume_point_knows_nothing_of_ranks(ranks: Any) -> None:
    points = [
        ranks.result(name)["point"]
        for name in ("one", "two", "three", "two in parts", "three in parts")
    ]
    assert len({tuple(sorted(point)) for point in points}) == 1
    assert len({point["tensors.safetensors"][0] for point in points}) == 1


@pytest.mark.parametrize("suffix", ["", " without dropout"])
def test_weights_in_parts_learn_what_whole_ones_do(ranks: Any, suffix: str) -> None:
    whole = ranks.result(f"one{suffix}")
    parts = [ranks.result(f"two in parts{suffix}", rank) for rank in range(2)]
    assert [len(part["rows"]) for part in parts] == [12, 12]
    for alone, shared in zip(steps(whole), steps(parts[0]), strict=True):
        assert shared["loss_nats"] == pytest.approx(alone["loss_nats"], abs=LOSS_TOLERANCE_NATS)
        assert shared["grad_norm"] == pytest.approx(alone["grad_norm"], rel=1e-3)
    looks = [result["summary"]["tune_bits_per_byte"] for result in (whole, parts[0])]
    assert looks[1] == pytest.approx(looks[0], abs=1e-4)
    assert whole["summary"]["params"] == parts[0]["summary"]["params"]


@pytest.mark.parametrize(("name", "size"), [("two", 2), ("three", 3)])
def test_each_rank_keeps_its_part_of_the_weights(ranks: Any, name: str, size: int) -> None:
    held = [ranks.result(f"{name} in parts", rank)["held"] for rank in range(size)]
    (number,) = {total for _, total in held}
    assert sum(own for own, _ in held) == number
    # Rows of a matrix are not always a multiple of the ranks.
    assert all(own < 1.3 * number / size for own, _ in held)
    own, total = ranks.result(name)["held"]
    assert own == total == number


def test_all_ranks_stop_at_the_same_step(ranks: Any) -> None:
    for rank in range(3):
        kind, message = ranks.result("stopped", rank)["error"]
        assert kind == "TrainingInterrupted"
        assert "after step 5 of 12" in message


def test_all_ranks_meet_the_same_divergence(ranks: Any) -> None:
    errors = [ranks.result("diverging", rank)["error"] for rank in range(2)]
    assert errors[0] == errors[1]
    assert errors[0][0] == "TrainingError"
    assert "again at half the learning rate" in errors[0][1]
    assert ranks.result("diverging")["events"].count("recovery 0") == 1


def test_a_budget_is_planned_once_for_all_ranks(ranks: Any) -> None:
    results = [ranks.result("budget", rank) for rank in range(2)]
    assert len(results[0]["rows"]) == len(results[1]["rows"])
    assert len(results[0]["rows"]) == results[0]["summary"]["steps"] >= 1


def test_text_that_fills_too_few_lanes_is_named(make_bench: Any) -> None:
    with pytest.raises(ConfigError, match=r"fills 1 lane, which training\.processes=2"):
        make_bench(texts=["abc"]).train(launcher="torchrun", processes=2)


def test_a_recorded_plan_keeps_its_number_of_processes(bench: Any) -> None:
    plan = bench.train(max_steps=1).plan()
    assert plan.processes == 1
    with pytest.raises(ConfigError, match=r"for 2 processes, but training\.processes is 1"):
        bench.train("again", replay=plan.model_copy(update={"processes": 2}))


def test_a_rank_that_found_another_training_is_refused() -> None:
    store: Any = torch.distributed.HashStore()
    ranks = [Surroundings(rank=rank, size=2, local_rank=0, meeting=None) for rank in range(2)]
    distributed._compare(store, ranks[0], "one")
    distributed._compare(store, ranks[1], "one")
    with pytest.raises(ConfigError, match=r"found another training .*\(two instead of one\)"):
        distributed._compare(store, ranks[1], "two")


def test_a_rank_without_a_device_of_its_own_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    environment = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(ConfigError, match=r"process 1 of .* has no CUDA device of its own"),
        process_group("cuda"),
    ):
        pass
