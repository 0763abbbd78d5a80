from typing import Any

import pytest

from flows.progress.job import opened
from flows.steps.progress import counting, few_steps, learnt_little, step_shown, training_shown
from lmcore.training.config import TrainingConfig
from lmcore.training.events import TrainingEvent


def step(number: int, of: int, **values: float) -> TrainingEvent:
    return TrainingEvent(kind="step", step=number, steps=of, values=values)


def test_a_training_is_counted_and_its_log_has_a_line_a_tenth(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    with opened("run") as job, step_shown("train"):
        show = training_shown(TrainingConfig(max_steps=1000))
        assert job.snapshot().part == "measuring how fast this machine is"
        for number in range(1, 1001):
            show(step(number, 1000, loss_nats=2.0, tokens_per_second=17_000.0))
        now = job.snapshot()
    assert (now.done, now.total, now.unit, now.loss_nats) == (1000, 1000, "steps", 2.0)
    assert now.note == "loss 2.000 nats/token, 17.0k tokens/s"
    lines = [record for record in caplog.records if record.message.startswith("train: step")]
    assert len(lines) == 11
    # The terminal has the line that is rewritten; Prefect's log has these.
    assert not any(record.shown for record in lines)  # type: ignore[attr-defined]


def test_a_budget_that_became_one_step_says_so_and_what_to_raise(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("WARNING")
    show = training_shown(TrainingConfig(budget_seconds=15))
    show(TrainingEvent(kind="plan", step=0, steps=1, message="1 step of 2048 tokens"))
    assert caplog.messages == [
        "train: this is 1 step in all, in which nothing is learnt; raise training.budget_seconds"
        " (now 15), or make the model smaller"
    ]
    assert "training.max_epochs (now 0.5)" in few_steps(3, TrainingConfig(max_epochs=0.5))


def log(*losses: float) -> list[dict[str, Any]]:
    steps = [{"kind": "step", "step": 10 * i + 1, "loss_nats": x} for i, x in enumerate(losses)]
    return [*steps, {"kind": "evaluation", "step": 1, "tune_bits_per_byte": 2.0}]


@pytest.mark.parametrize("losses", [(6.0,), (6.0, 5.8, 5.2), (6.0, 7.0)])
def test_who_learnt_almost_nothing_is_told_before_the_gates(losses: tuple[float, ...]) -> None:
    said = learnt_little(log(*losses), TrainingConfig(max_steps=5))
    assert said is not None
    assert f"from 6.00 to {losses[-1]:.2f} nats/token" in said
    assert "raise training.max_steps (now 5)" in said


@pytest.mark.parametrize("losses", [(), (6.0, 4.0), (6.0, 5.0)])
def test_who_learnt_is_not_told_so(losses: tuple[float, ...]) -> None:
    assert learnt_little(log(*losses), TrainingConfig(max_steps=5)) is None


def test_a_part_without_a_number_of_things_has_no_total() -> None:
    with opened("run") as job, step_shown("evaluate"):
        counting("documents")("bias", 0, 0)
        now = job.snapshot()
    assert (now.part, now.total, now.unit) == ("bias", None, "documents")
