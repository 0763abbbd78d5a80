"""The steps as Prefect runs them: names on its page, time limits, and what is tried again.

A step itself is a plain function of a module beside this one, for commands that need no server.
Content folders are the cache: they are keyed by code as well and they are verified, so Prefect
keeps none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Cancelled
from prefect.tasks import Task

from flows.home.signals import StepInterrupted, finishing, interruptible
from flows.steps import (
    choose_start,
    evaluate_model,
    import_model,
    ingest_documents,
    promote_version,
    register_version,
    tokenize_documents,
    train_model,
)
from flows.steps.stopwatch import GO_ON, RunStopped
from lmcore.errors import LmcoreError
from lmcore.training.events import TrainingInterrupted

P = ParamSpec("P")
R = TypeVar("R")

_HOUR = 3600


def is_io_failure(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a task failed of an operating-system error that may pass.

    Exceptions of ours state a cause that a repetition does not change.
    """
    try:
        state.result()
    except LmcoreError:
        return False
    except (OSError, TimeoutError) as error:
        return not isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError)
    except Exception:
        return False
    return False


def result_of(state: State[R]) -> R:
    """What a step gave.

    Raises:
        RunStopped: If it ended because the user asked for it.
        Exception: What it failed of.
    """
    if state.is_cancelled():
        raise RunStopped(state.message or "stopped")
    found: R = state.result()
    return found


def left_at_once(step: Callable[P, R], name: str) -> Callable[P, R]:
    """A step that ends Cancelled where the user asks to stop: nothing of it is kept."""

    @functools.wraps(step)
    def until_asked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with interruptible():
                return step(*args, **kwargs)
        except StepInterrupted:
            message = f"stopped in the step {name}; {GO_ON}"
            return Cancelled(message=message)  # type: ignore[return-value]

    return until_asked


class Step(Generic[P, R]):
    """A step to be called in a flow.

    Args:
        task: As Prefect runs it.
    """

    def __init__(self, task: Task[P, R]) -> None:
        self.task = task

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """What it gives; see `result_of` for how else it ends."""
        return result_of(self.task(*args, **kwargs, return_state=True))


def _finished_first(step: Callable[P, R], what: str) -> Callable[P, R]:
    """A step that moves an alias: it is short, and ends before a stop is obeyed."""

    @functools.wraps(step)
    def to_its_end(*args: P.args, **kwargs: P.kwargs) -> R:
        with finishing(what):
            return step(*args, **kwargs)

    return to_its_end


def _of_files(step: Callable[P, R], name: str, *, title: str, hours: int) -> Step[P, R]:
    """A step that reads and writes files: a failure of the disk or the network may pass."""
    return Step(
        task(
            name=name,
            task_run_name=title,
            timeout_seconds=hours * _HOUR,
            cache_policy=NO_CACHE,
            retries=2,
            retry_delay_seconds=1.0,
            retry_condition_fn=is_io_failure,
        )(left_at_once(step, name))
    )


def _of_training(step: Callable[P, R], name: str, *, title: str) -> Step[P, R]:
    """A step that trains: one that was asked to stop ends Cancelled, and goes on another time."""

    @functools.wraps(step)
    def until_stopped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return step(*args, **kwargs)
        except TrainingInterrupted as stop:
            return Cancelled(message=str(stop))  # type: ignore[return-value]

    return Step(task(name=name, task_run_name=title, cache_policy=NO_CACHE)(until_stopped))


fingerprint = _of_files(
    ingest_documents.fingerprint, "fingerprint", title="fingerprint sources", hours=6
)
import_pretrained = _of_files(
    import_model.import_model, "import-model", title="import model {config.name}", hours=6
)
ingest = _of_files(ingest_documents.ingest_documents, "ingest", title="ingest documents", hours=24)
tokenize = _of_files(
    tokenize_documents.tokenize_documents, "tokenize", title="tokenize documents", hours=24
)
start = Step(
    task(name="choose-start", task_run_name="choose start {config.name}", cache_policy=NO_CACHE)(
        left_at_once(choose_start.choose_start, "choose-start")
    )
)
train = _of_training(train_model.train_model, "train", title="train {run.config.name}")
train_parts = _of_training(
    train_model.train_parts, "train-parts", title="train parts {run.config.name}"
)
evaluate = Step(
    task(
        name="evaluate",
        task_run_name="evaluate {run.config.name}",
        cache_policy=NO_CACHE,
        timeout_seconds=12 * _HOUR,
    )(left_at_once(evaluate_model.evaluate, "evaluate"))
)
register = Step(
    task(
        name="register",
        task_run_name="register {candidate.run.config.name}",
        cache_policy=NO_CACHE,
        retries=1,
        retry_delay_seconds=2,
    )(left_at_once(register_version.register_version, "register"))
)
promote = task(name="promote", task_run_name="promote {run.config.name}", cache_policy=NO_CACHE)(
    _finished_first(promote_version.promote_version, "ending the promotion")
)
