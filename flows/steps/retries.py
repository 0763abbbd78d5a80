"""Which failures are worth a second try: those of disk and network, never those of the input."""

from __future__ import annotations

from typing import Any, TypedDict

from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from lmcore.errors import LmcoreError


class RetryOptions(TypedDict):
    """Keyword arguments of a Prefect task."""

    retries: int
    retry_delay_seconds: float
    retry_condition_fn: Any
    cache_policy: CachePolicy


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


RETRY_IO: RetryOptions = {
    "retries": 2,
    "retry_delay_seconds": 1.0,
    "retry_condition_fn": is_io_failure,
    # Content folders are the cache: they are keyed by code as well and they are verified.
    "cache_policy": NO_CACHE,
}
