from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed, Failed

from flows.steps import tasks
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
    assert tasks.is_io_failure(tasks.ingest, run, Failed(data=error)) is again


def test_what_went_well_is_not_tried_again() -> None:
    run: Any = TaskRun
    assert not tasks.is_io_failure(tasks.ingest, run, Completed(data=3))


def test_a_training_that_was_stopped_ends_cancelled_and_others_as_they_do(tmp_path: Path) -> None:
    def step(ending: object) -> Any:
        """Train."""
        if isinstance(ending, BaseException):
            raise ending
        return ending

    task = tasks._of_training(step, "train", title="train {ending}")
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


def test_steps_that_read_and_write_files_are_tried_again_and_training_is_not() -> None:
    for task in (tasks.fingerprint, tasks.ingest, tasks.tokenize):
        assert (task.retries, task.retry_condition_fn) == (2, tasks.is_io_failure)
        assert task.timeout_seconds is not None
    for task in (tasks.train, tasks.train_parts, tasks.evaluate, tasks.promote):
        assert task.retries == 0
