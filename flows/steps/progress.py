"""How a person sees training go: a bar in a terminal, plain lines elsewhere, Prefect's page.

The three displays take the same training events; none of them influences training.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
import time
from typing import Protocol, Self
from uuid import UUID

from lmcore.training.events import TrainingEvent

logger = logging.getLogger(__name__)

_LINES = 10  # plain lines over a whole training
_ARTIFACT_SECONDS = 3.0  # between updates, each of which is a request to the server
_CLOSE_SECONDS = 5.0


class Display(Protocol):
    """Something that shows training events."""

    def show(self, event: TrainingEvent) -> None:
        """Show one event."""

    def close(self) -> None:
        """Release the terminal."""


class TerminalBar:
    """A progress bar with loss and speed."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("  train"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("train", total=None, note="")
        self._note = ""
        self._bar.start()

    def show(self, event: TrainingEvent) -> None:
        """Move the bar; messages are printed above it."""
        self._note = _numbers(event) or self._note
        self._bar.update(self._task, total=event.steps, completed=event.step, note=self._note)
        if event.kind in ("recovery", "resume", "revision") and event.message:
            self._bar.console.print(f"  {event.message}")

    def close(self) -> None:
        """Give the terminal back."""
        self._bar.stop()


class PlainLines:
    """A line at every tenth of the way, through logging."""

    def __init__(self) -> None:
        self._next = 0

    def show(self, event: TrainingEvent) -> None:
        """Log the event if it says something new."""
        if event.kind in ("plan", "resume", "recovery", "revision"):
            logger.info("train: %s", event.message)
        elif event.kind == "step" and event.step * _LINES >= self._next * max(event.steps, 1):
            self._next = event.step * _LINES // max(event.steps, 1) + 1
            logger.info("train: step %d of %d, %s", event.step, event.steps, _numbers(event))

    def close(self) -> None:
        """Nothing to release."""


class PrefectProgress:
    """A progress artifact on the flow run's page, written by a thread.

    A server that is away is asked again for minutes by Prefect's client; training does not wait for
    that, and a page that shows too little is no reason to stop it.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._id: UUID | None = None
        self._last = 0.0
        self._condition = threading.Condition()
        self._value: float | None = None  # the newest one that is not written yet
        self._closed = False
        self._thread: threading.Thread | None = None

    def show(self, event: TrainingEvent) -> None:
        """Let the artifact be created, then updated every few seconds."""
        now = time.monotonic()
        if event.kind != "done" and now - self._last < _ARTIFACT_SECONDS:
            return
        self._last = now
        with self._condition:
            self._value = 100.0 * event.step / max(event.steps, 1)
            if self._thread is None:
                # The artifact belongs to the flow run that this context names.
                run = contextvars.copy_context().run
                self._thread = threading.Thread(target=run, args=(self._work,), daemon=True)
                self._thread.start()
            self._condition.notify_all()

    def close(self) -> None:
        """Write the last value, unless the server is away."""
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
                logger.warning("Prefect does not show the progress of training: %s", error)

    def _write(self, value: float) -> None:
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        if self._id is None:
            created = create_progress_artifact(
                value, key=self._key, description="Training steps done, per cent"
            )
            assert isinstance(created, UUID)
            self._id = created
        else:
            update_progress_artifact(self._id, value)


class Displays:
    """All displays of this run; as a context manager it releases the terminal."""

    def __init__(self, artifact_key: str) -> None:
        visible: Display = TerminalBar() if sys.stderr.isatty() else PlainLines()
        self._displays: list[Display] = [visible, PrefectProgress(artifact_key)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for display in self._displays:
            display.close()

    def show(self, event: TrainingEvent) -> None:
        """Show one event everywhere."""
        for display in self._displays:
            display.show(event)


def _numbers(event: TrainingEvent) -> str:
    parts = []
    if (loss := event.values.get("loss_nats")) is not None:
        parts.append(f"loss {loss:.3f} nats/token")
    if (speed := event.values.get("tokens_per_second")) is not None:
        parts.append(f"{speed / 1000:.1f}k tokens/s")
    return ", ".join(parts)
