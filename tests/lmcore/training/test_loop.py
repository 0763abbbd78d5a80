"""Steps, looks, resume points and recovery of one run."""

import math
from typing import Any

import pytest
import torch

from lmcore.errors import TrainingError
from lmcore.training import loop as loop_module
from lmcore.training import objective as objective_module
from lmcore.training.events import TrainingEvent
from lmcore.training.objective import NextToken
from lmcore.training.plan import Plan, Revision
from lmcore.training.progress import Progress
from lmcore.training.state import TrainingState
from lmcore.training.step import StepResult

STEPS = 12


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


def test_a_stop_before_the_first_step_keeps_the_plan(bench: Any) -> None:
    told: list[TrainingEvent] = []
    stop = bench.interrupted_when(lambda: bool(told), on_event=told.append)
    assert str(stop).startswith(f"training stopped on request after step 0 of {STEPS}")
    assert (stop.where / "plan.json").exists()
    assert bench.weights(bench.train()) == bench.weights(bench.train("whole"))


@pytest.mark.parametrize("stop_at", [1, 5, 11])
def test_stopping_saves_and_the_same_call_goes_on_bit_for_bit(bench: Any, stop_at: int) -> None:
    whole = bench.train("whole")
    stop = bench.interrupted(after=stop_at, work="parts")
    assert str(stop).startswith(f"training stopped on request after step {stop_at} of {STEPS}")
    assert stop.where.is_dir()
    events: list[TrainingEvent] = []
    resumed = bench.train("parts", on_event=events.append)
    assert [event.step for event in events if event.kind == "resume"] == [stop_at]
    assert bench.weights(resumed) == bench.weights(whole)
    assert bench.timeless(resumed) == bench.timeless(whole)
    assert not stop.where.exists()


def test_a_slow_step_is_left_before_its_next_layer_and_taken_again(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bench.train("whole")
    slow = whole.plan().model_copy(update={"tokens_per_second": 1.0})
    begun: list[int] = []
    real = loop_module.backward_step

    def step(*args: Any, **kwargs: Any) -> StepResult:
        begun.append(1)
        result = real(*args, **kwargs)
        assert len(begun) < 6, "the step went on to its end"
        return result

    monkeypatch.setattr(loop_module, "backward_step", step)
    stop = bench.interrupted_when(lambda: len(begun) == 6, replay=slow)
    assert stop.step == 5
    monkeypatch.undo()
    resumed = bench.train(replay=slow)
    assert bench.weights(resumed) == bench.weights(whole)
    assert bench.timeless(resumed) == bench.timeless(whole)


def slower(monkeypatch: pytest.MonkeyPatch, *, after: int, factor: float) -> None:
    """Let the clock of the loop say that steps take longer, from one on."""
    counted = Progress.after_step

    def after_step(self: Progress, loss_nats: float, *, seconds: float) -> Progress:
        seconds = 1.0 if self.step < after else factor
        return counted(self, loss_nats, seconds=seconds)

    monkeypatch.setattr(Progress, "after_step", after_step)
    monkeypatch.setattr(TrainingState, "spend", lambda *_: None)


def test_a_plan_that_is_revised_is_recorded_resumed_and_replayed(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.train("first", max_steps=40).plan()
    promised = first.model_copy(
        update={"budget_seconds": 40.0, "planning_seconds": 0.0, "checkpoint_every": 7}
    )
    slower(monkeypatch, after=20, factor=2.0)
    told: list[TrainingEvent] = []
    whole = bench.train("whole", replay=promised, on_event=told.append)
    plan = whole.plan()
    assert plan.scheduled_steps == 40
    assert plan.steps == whole.summary["steps"] == pytest.approx(30, abs=2)
    assert plan.revisions[0].steps == 40
    messages = [event.message for event in told if event.kind == "revision"]
    assert messages[0].startswith("the machine became slower: ")
    assert "instead of 40, to end within 40 s" in messages[0]
    lines = whole.log()
    first_change = next(revision for revision in plan.revisions if revision.steps < 40)
    assert first_change.after in (23, 24)
    change = {"kind": "revision", "step": first_change.after, "steps": first_change.steps}
    assert next(line for line in lines if line["kind"] == "revision") == change
    rates = [line["learning_rate"] for line in lines if line["kind"] == "step"]
    assert len(rates) == plan.steps
    assert rates[-1] < 0.1 * max(rates)
    # Stopped after the first revision that counts: what the clock says then changes nothing.
    stop = bench.interrupted(after=26, work="parts", replay=promised)
    assert (stop.where / "plan.json").read_text().count('"after"') > 9
    monkeypatch.undo()
    slower(monkeypatch, after=26, factor=2.0)
    resumed = bench.train("parts", replay=promised)
    assert bench.weights(resumed) == bench.weights(whole)
    assert bench.timeless(resumed) == bench.timeless(whole)
    monkeypatch.undo()
    # Whoever replays the finished plan asks no clock at all.
    again = bench.train("again", replay=plan)
    assert again.plan() == plan
    assert bench.weights(again) == bench.weights(whole)
    assert bench.timeless(again) == bench.timeless(whole)


def test_another_number_of_threads_is_taken_at_its_step_and_replayed(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = bench.train("first").plan()
    before = torch.get_num_threads()
    revisions = [
        Revision(after=after, before=STEPS, steps=STEPS, seconds=0.0, step_seconds=0.0, threads=n)
        for after, n in ((4, 1), (9, 2))
    ]
    plan = plan.model_copy(update={"threads": 2, "revisions": tuple(revisions)})
    assert [plan.threads_of(step) for step in (1, 4, 5, 9, 10)] == [2, 2, 1, 1, 2]
    used: list[int] = []
    real = loop_module.backward_step

    def step(*args: Any, **kwargs: Any) -> StepResult:
        used.append(torch.get_num_threads())
        return real(*args, **kwargs)

    monkeypatch.setattr(loop_module, "backward_step", step)
    whole = bench.train("whole", replay=plan)
    assert used == [2] * 4 + [1] * 5 + [2] * 3
    assert torch.get_num_threads() == before
    lines = [line for line in whole.log() if line["kind"] == "revision"]
    assert lines == [
        {"kind": "revision", "step": 4, "threads": 1},
        {"kind": "revision", "step": 9, "threads": 2},
    ]
    used.clear()
    bench.interrupted(after=7, work="parts", replay=plan)
    resumed = bench.train("parts", replay=plan)
    assert used == [2] * 4 + [1] * 5 + [2] * 3
    assert bench.weights(resumed) == bench.weights(whole)
    assert bench.timeless(resumed) == bench.timeless(whole)


def test_a_look_is_left_at_its_next_batch_and_taken_again(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bench.train("whole")
    looking: list[int] = []
    look = NextToken.look

    def begun(self: NextToken, plan: Plan) -> Any:
        looking.append(1)
        return look(self, plan)

    monkeypatch.setattr(NextToken, "look", begun)
    told: list[TrainingEvent] = []
    stop = bench.interrupted_when(lambda: len(looking) == 2, work="parts", on_event=told.append)
    # Of the two looks that had begun one was finished.
    assert [event.kind for event in told].count("evaluation") == 1
    assert whole.plan().evaluates_after(stop.step)
    resumed = bench.train("parts")
    assert bench.weights(resumed) == bench.weights(whole)
    assert bench.timeless(resumed) == bench.timeless(whole)


def test_a_damaged_resume_point_falls_back_to_the_one_before(bench: Any) -> None:
    whole = bench.train("whole")
    replay = whole.plan().model_copy(update={"checkpoint_every": 3})
    reference = bench.train("reference", replay=replay)
    where = bench.interrupted(after=7, replay=replay).where
    newest = max((where / "points").iterdir())
    assert newest.name == "step-0000000007"
    (newest / "tensors.safetensors").write_bytes(b"damaged")
    events: list[TrainingEvent] = []
    resumed = bench.train(replay=replay, on_event=events.append)
    assert [event.kind for event in events[:2]] == ["recovery", "resume"]
    assert "passed over" in events[0].message
    assert events[1].step == 6
    assert bench.weights(resumed) == bench.weights(reference) == bench.weights(whole)
    assert bench.timeless(resumed) == bench.timeless(reference)


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
    assert bench.weights(checkpoint)[0] != bench.weights(checkpoint)[1]
    assert checkpoint.consumed("best").steps == 10
    assert checkpoint.consumed("final").steps == 20
