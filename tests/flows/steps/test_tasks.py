import signal
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed, Failed

from flows.home.signals import polite_signals
from flows.steps import tasks
from flows.steps.stopwatch import RunStopped
from lmcore.errors import IntegrityError, UserError
from lmcore.training.events import TrainingInterrupted


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (OSError("the disk is away"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (FileNotFoundError(), False),
        (PermissionError(), False),
        (NotADirectoryError(), False),
        (UserError("texts: no such folder"), False),
        (IntegrityError("a file is damaged"), False),
        (ValueError(), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: Exception, again: bool) -> None:
    run: Any = TaskRun
    assert tasks.is_io_failure(tasks.ingest.task, run, Failed(data=error)) is again


def test_what_went_well_is_not_tried_again() -> None:
    run: Any = TaskRun
    assert not tasks.is_io_failure(tasks.ingest.task, run, Completed(data=3))


def test_a_training_that_was_stopped_ends_cancelled_and_others_as_they_do(tmp_path: Path) -> None:
    def step(ending: object) -> Any:
        """Train."""
        if isinstance(ending, BaseException):
            raise ending
        return ending

    task = tasks._of_training(step, "train", title="train {ending}").task
    assert (task.name, task.description, task.task_run_name) == (
        "train",
        "Train.",
        "train {ending}",
    )
    assert task.fn(5) == 5
    state = task.fn(TrainingInterrupted(7, 10, tmp_path))
    assert isinstance(state, State)
    assert state.is_cancelled()
    assert str(state.message).startswith("training stopped on request after step 7 of 10")
    with pytest.raises(ValueError, match="broken"):
        task.fn(ValueError("broken"))


def test_a_step_that_was_left_ends_cancelled_and_says_which() -> None:
    def step() -> int:
        signal.raise_signal(signal.SIGTERM)
        return 5

    with polite_signals():
        state = tasks.left_at_once(step, "tokenize")()
    assert isinstance(state, State)
    assert state.is_cancelled()
    assert state.message == (
        "stopped in the step tokenize; finished steps are kept, and the same command goes on from"
        " there"
    )
    with pytest.raises(RunStopped, match="in the step tokenize"):
        tasks.result_of(state)
    with polite_signals():  # forgets it
        assert tasks.left_at_once(lambda: 5, "tokenize")() == 5


def test_steps_that_read_and_write_files_are_tried_again_and_training_is_not() -> None:
    for task in (step.task for step in (tasks.fingerprint, tasks.ingest, tasks.tokenize)):
        assert (task.retries, task.retry_condition_fn) == (2, tasks.is_io_failure)
        assert task.timeout_seconds is not None
    others = (tasks.train.task, tasks.train_parts.task, tasks.evaluate.task, tasks.promote)
    assert [task.retries for task in others] == [0, 0, 0, 0]
