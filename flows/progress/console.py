"""What runs in a home, on the console of a process that only watches: that of `lmcore up`.

In: the board of the home.  Out: stderr, where a terminal has one line that is rewritten and
anything else a line when a job begins, at each of its steps, now and then, and when it has ended.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows.progress.board import running
from flows.progress.screen import RewrittenLine, last_line

_LOOK_SECONDS = 1.0
_PLAIN_SECONDS = 30.0

Job = Mapping[str, Any]


class JobLines:
    """Which lines are to be written of the jobs that run."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[object, float]] = {}

    def due(self, jobs: Sequence[Job], now: float) -> list[str]:
        """Lines for people, one a job that has something new to say.

        Args:
            jobs: As `running` gives them.
            now: Seconds from anywhere.
        """
        found = []
        present = {title(job): job for job in jobs}
        for name, job in present.items():
            step, last = self._seen.get(name, (None, 0.0))
            if name in self._seen and step == job.get("step") and now - last < _PLAIN_SECONDS:
                continue
            self._seen[name] = job.get("step"), now
            found.append(f"{name}: {job.get('sentence') or 'runs'}")
        for name in [name for name in self._seen if name not in present]:
            del self._seen[name]
            found.append(f"{name}: ended")
        return found


def title(job: Job) -> str:
    """What a job is called."""
    return " ".join(str(part) for part in (job.get("job"), job.get("model")) if part)


@contextmanager
def jobs_shown(folder: Path) -> Iterator[None]:
    """Inside, the console says what runs.

    Args:
        folder: Of the board.
    """
    stream, lines, ended = sys.stderr, JobLines(), threading.Event()

    def work(line: RewrittenLine | None) -> None:
        while not ended.wait(_LOOK_SECONDS):
            jobs = running(folder)
            if line is not None:
                line.show(" | ".join(f"  {title(job)}: {job.get('sentence')}" for job in jobs))
            for text in lines.due(jobs, time.monotonic()):
                if line is None or text.endswith(": ended"):
                    with contextlib.suppress(OSError, ValueError):
                        print(f"  {text}", file=line or stream, flush=True)

    with last_line() as line:
        thread = threading.Thread(target=work, args=(line,), name="jobs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=2 * _LOOK_SECONDS)
