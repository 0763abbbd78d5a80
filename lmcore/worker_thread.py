"""A thread that does one task after the other, at most one ahead of who hands them over.

In: tasks.  Out: nothing; what one raises is raised where the next is handed over, or at the end.
For what leaves the interpreter to others (compression, arithmetic), so that two cores work.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class WorkerThread:
    """Does tasks in their order; begins with the first."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._going: Future[Any] | None = None

    def hand_over(self, task: Callable[..., object], *arguments: Any) -> None:
        """Have a task done, once the one before it is.

        Args:
            task: What is done.
            arguments: Of the task.
        """
        self.wait()
        self._going = self._thread.submit(task, *arguments)

    def wait(self) -> None:
        """Wait for the task that was handed over last."""
        if self._going is not None:
            going, self._going = self._going, None
            going.result()

    def close(self) -> None:
        """Wait for it, and let the thread end, whatever it came to."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()
