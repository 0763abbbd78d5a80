"""How long the steps of a run take, and the places between them where it may be stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from flows.home.signals import stop_requested
from flows.home.traces import Span, traced
from flows.steps.progress import step_shown

#: How a run goes on that was stopped outside of a training, which says so itself.
GO_ON = "finished steps are kept, and the same command goes on from there"


class RunStopped(KeyboardInterrupt):
    """The user asked to stop between two steps, or in one; everything done is saved."""


@dataclass
class Stopwatch:
    """Seconds by step, for the report, for `--json` and as spans of the run's.

    Attributes:
        seconds: Wall clock of each step.
        started: Of `time.perf_counter`.
        cores_before: Processor time when it was started.
        span: Of the run.
        model: That the run is for.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)
    cores_before: float = field(default_factory=lambda: sum(os.times()[:4]))
    span: Span = field(default_factory=Span)
    model: str = ""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step; a stop that was asked for takes effect before the next one."""
        self.heed(f"before the step {name}")
        start = time.perf_counter()
        try:
            with traced(name, within=self.span), step_shown(name, self.model):
                yield
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 3)

    def heed(self, where: str) -> None:
        """End the run where a stop was asked for.

        Args:
            where: In the run, such as "before the step ingest".

        Raises:
            RunStopped: If it was.
        """
        if stop_requested():
            raise RunStopped(f"stopped {where}; {GO_ON}")

    def total(self) -> dict[str, float]:
        """The steps and their total."""
        return {**self.seconds, "total": round(time.perf_counter() - self.started, 3)}

    def core_seconds(self) -> float:
        """Processor time of this process and of those that it waited for, until now."""
        return round(sum(os.times()[:4]) - self.cores_before, 3)
