"""One short run: what each lane costs, with its bounds, and that nothing is done twice."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lmcore.content_store import ContentStore
from lmcore.model.config import ModelConfig
from lmcore.training.attempt import Attempt
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingEvent, TrainingInterrupted
from lmcore.training.plan import Plan
from lmcore.training.trials import short_runs
from lmcore.training.trials.short_runs import Estimate, SweepRun, lane_costs, ratio, short_run

MODEL = ModelConfig(d_model=16, embedding_dim=8, num_heads=2, head_dim=4, window=8, mlp_multiple=1)


def run(bench: Any, *, replay: Plan | None = None, **changes: Any) -> SweepRun:
    attended = {name: changes.pop(name) for name in ("on_event", "should_stop") if name in changes}
    settings = {
        **{"max_steps": 20, "batch_size": 4, "sequence_length": 16, "precision": "float32"},
        **{"evaluations": 1, "learning_rate": 0.01},
    }
    return short_run(
        Attempt(store=ContentStore(bench.root / "store"), work_dir=bench.root / "work", **attended),
        bench.corpus,
        model=MODEL,
        training=TrainingConfig.model_validate({**settings, **changes}),
        replay=replay,
    )


def test_a_ratio_by_hand() -> None:
    # Residuals -1 and +1 around 2 x bytes; s = sqrt(2/1 * 2) / 4 = 0.5; t(0.95, 1) = 6.3138.
    found = ratio(np.array([3.0, 5.0]), np.array([2.0, 2.0]))
    assert (found.value, found.n) == (2.0, 2)
    assert found.upper == pytest.approx(2.0 + 6.313752 * 0.5)
    assert found.lower == pytest.approx(2.0 - 6.313752 * 0.5)
    assert ratio(np.array([3.0]), np.array([2.0])).lower is None


def test_lanes_add_up_to_the_look_of_the_training(bench: Any) -> None:
    looks: list[float] = []

    def on_event(event: TrainingEvent) -> None:
        if event.kind == "evaluation":
            looks.append(event.values["tune_bits_per_byte"])

    found = [
        run(bench, learning_rate=rate, on_event=on_event).bits_per_byte().value
        for rate in (0.005, 0.01)
    ]
    assert found == pytest.approx(looks, rel=1e-5)
    assert found[0] != found[1]


def test_a_result_is_json_without_nan_and_all_are_of_the_same_text(bench: Any) -> None:
    one, other = (run(bench, learning_rate=rate) for rate in (0.005, 0.01))
    for found in (one, other):
        json.dumps(found.bits_per_byte().to_json(), allow_nan=False)
    assert np.array_equal(one.lane_bytes, other.lane_bytes)
    # The difference of the sums is the sum of the differences.
    difference = one.bits_per_byte().value - other.bits_per_byte().value
    assert one.minus(other).value == pytest.approx(difference)
    assert one.minus(one) == Estimate(value=0, lower=0, upper=0, n=len(one.lane_bits))


def test_of_many_differences_one_is_less_sure(bench: Any) -> None:
    one, other = (run(bench, learning_rate=rate) for rate in (0.005, 0.01))
    alone, of_six = one.minus(other), one.minus(other, comparisons=6)
    assert alone.value == of_six.value
    assert of_six.lower < alone.lower < alone.upper < of_six.upper


def test_a_divergence_is_kept_with_its_reason_and_without_lanes(bench: Any) -> None:
    # A loss this steep explodes whatever the first steps are.
    found = run(bench, learning_rate=10.0, weight_decay=10.0, max_steps=40, warmup_steps=0)
    assert found.diverged
    assert "diverged" in found.summary["reason"]
    assert found.lane_bits.tolist() == found.lane_bytes.tolist() == []
    assert (found.learning_rate, found.plan.steps) == (10.0, 40)


def test_a_run_is_not_done_twice_and_leaves_no_weights(bench: Any) -> None:
    first = run(bench)
    events: list[TrainingEvent] = []
    again = run(bench, on_event=events.append)
    assert (again.key, events) == (first.key, [])
    assert run(bench, seed=1).key != first.key
    assert not [*(bench.root / "work").glob("sweep-*")]
    assert not [*bench.root.rglob("*.safetensors")]


def test_another_rate_follows_the_plan_that_it_is_given(bench: Any) -> None:
    plan = run(bench).plan
    own = plan.model_copy(update={"learning_rate": 0.02, "steps": 7})
    assert run(bench, learning_rate=0.02, replay=own).plan == own


def test_a_stopped_run_goes_on_where_it_was(bench: Any) -> None:
    whole = run(bench)
    other = replace(bench, root=bench.root / "other")
    planned: list[TrainingEvent] = []
    asked = iter(range(100))
    with pytest.raises(TrainingInterrupted):
        run(
            other,
            should_stop=lambda: bool(planned) and next(asked) >= 9,
            on_event=planned.append,
        )
    events: list[TrainingEvent] = []
    resumed = run(other, on_event=events.append)
    assert [event.step for event in events if event.kind == "resume"] == [9]
    assert resumed.lane_bits.tolist() == whole.lane_bits.tolist()


def test_a_large_vocabulary_is_read_in_pieces(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = bench.train(max_steps=3)
    model, tune, plan = checkpoint.load(), bench.corpus.tune_stream, checkpoint.plan()
    pieces = bench.corpus.loaded.pieces
    bits, num_bytes = lane_costs(model, tune, plan=plan, pieces=pieces)
    monkeypatch.setattr(short_runs, "_MOST_LOGITS", 5 * 4 * model.vocab_size)
    few_bits, few_bytes = lane_costs(model, tune, plan=plan, pieces=pieces)
    assert few_bits == pytest.approx(bits, rel=1e-5)
    assert few_bytes.tolist() == num_bytes.tolist()
