"""The progress of a step on Prefect's page: one artifact, written by a thread.

A server that is away is asked again for minutes by Prefect's client; the step does not wait for
that, and a page that shows too little is no reason to stop it.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
import time
from uuid import UUID

logger = logging.getLogger(__name__)

_SECONDS = 3.0  # between updates, each of which is a request to the server
_CLOSE_SECONDS = 5.0


def flow_run_id() -> str | None:
    """Id of the flow run that this code is part of; None outside of any."""
    if "prefect" not in sys.modules:
        return None
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else None


class ProgressArtifact:
    """A progress artifact of the flow run that it is made in.

    Args:
        key: Of the artifact.
        description: What is done, per cent.
    """

    def __init__(self, key: str, description: str) -> None:
        self._key, self._description = key, description
        self._id: UUID | None = None
        self._last = 0.0
        self._condition = threading.Condition()
        self._value: float | None = None  # the newest one that is not written yet
        self._closed = False
        self._thread: threading.Thread | None = None
        # The artifact belongs to the flow run that this context names.
        self._context = contextvars.copy_context()

    def show(self, percent: float) -> None:
        """Let the artifact be created, then updated every few seconds."""
        now = time.monotonic()
        if percent < 100.0 and now - self._last < _SECONDS:
            return
        self._last = now
        with self._condition:
            self._value = percent
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._context.run, args=(self._work,), daemon=True
                )
                self._thread.start()
            self._condition.notify_all()

    def close(self, *, done: bool = False) -> None:
        """Write the last value, unless the server is away.

        Args:
            done: All is done, where it was shown at all.
        """
        if done and self._thread is not None:
            self.show(100.0)
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=_CLOSE_SECONDS)

    def _work(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._value is not None or self._closed)
                value, self._value = self._value, None
            if value is None:
                return
            try:
                self._write(value)
            except Exception as error:  # whatever the client raises
                logger.warning("Prefect does not show the progress of %s: %s", self._key, error)

    def _write(self, value: float) -> None:
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        if self._id is None:
            created = create_progress_artifact(value, key=self._key, description=self._description)
            assert isinstance(created, UUID)
            self._id = created
        else:
            update_progress_artifact(self._id, value)
