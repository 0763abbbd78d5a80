import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from flows.home.signals import polite_signals
from flows.registry.connection import connect
from flows.registry.tracking import TrackedRun, open_run
from flows.steps.run import Run
from flows.steps.train_model import train_model, train_parts, trained
from lmcore.training.events import TrainingEvent, TrainingInterrupted


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Afterwards nobody is asked to stop."""
    yield
    with polite_signals():
        pass


@pytest.fixture
def forced(made: Any) -> Callable[[int], tuple[Run, TrackedRun]]:
    """The same run once more, with an MLflow run of its own."""

    def make(nonce: int) -> tuple[Run, TrackedRun]:
        run = replace(made.run, key=replace(made.run.key, nonce=nonce))
        return run, open_run(run.home, model="lines", run_key=run.key.digest, name="forced")

    return make


def test_training_is_shown_logged_and_the_same_again(
    made: Any,
    forced: Callable[[int], tuple[Run, TrackedRun]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    run, tracked = forced(1)
    checkpoint = train_model(run, made.corpus, start=made.start, tracked=tracked)
    assert checkpoint.key != made.checkpoint.key
    for name in ("weights_sha256", "steps", "tokens_seen"):
        assert checkpoint.summary[name] == made.checkpoint.summary[name]
    history = connect(run.home).get_metric_history(tracked.run_id, "loss_nats")
    steps = [metric.step for metric in history]
    assert steps == sorted(set(steps))
    assert steps[-1] == 3
    assert "train: 3 steps, 0.0 M tokens" in caplog.text
    assert f"tune {checkpoint.summary['tune_bits_per_byte']:.3f} bits/byte" in caplog.text


def test_a_finished_training_is_not_repeated(made: Any) -> None:
    said: list[TrainingEvent] = []
    again = trained(
        made.run.config,
        made.corpus,
        made.run.home,
        start=made.start,
        base=None,
        on_event=said.append,
    )
    assert again.key == made.checkpoint.key
    assert [event for event in said if event.kind == "step"] == []


def test_a_training_that_was_stopped_goes_on(
    made: Any,
    forced: Callable[[int], tuple[Run, TrackedRun]],
    forgetful: None,
) -> None:
    run, tracked = forced(2)
    with polite_signals():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(TrainingInterrupted):
            train_model(run, made.corpus, start=made.start, tracked=tracked)
    with polite_signals():
        checkpoint = train_model(run, made.corpus, start=made.start, tracked=tracked)
    assert checkpoint.summary["weights_sha256"] == made.checkpoint.summary["weights_sha256"]


def test_parts_are_trained_for_as_many_steps_as_the_whole(
    made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    quarter, half = train_parts(made.run, made.corpus, whole=made.checkpoint)
    assert (quarter.share, half.share) == (0.25, 0.5)
    assert 0 < quarter.train_bytes < half.train_bytes < made.documents.num_bytes("train")
    for part in (quarter, half):
        assert part.checkpoint.summary["steps"] == 3
    assert "train: on 25 % of the text, tune" in caplog.text
