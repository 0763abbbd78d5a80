"""What runs in a home, for other processes: `lmcore status`, the dashboard, `lmcore up`.

In: snapshots of a job.  Out: `running/NAME.json`, replaced every second, beside `NAME.lock`, which
the process holds for its life.  The kernel frees the lock with the process, so what a killed one
left is not believed; no number of a process is ever compared.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.progress.job import Snapshot
from flows.progress.sentence import sentence

_SUFFIX = ".json"


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A place on the board that this process holds.

    Attributes:
        path: Of the file that others read.
        began: When, ISO 8601.
        flow_run_id: Of Prefect; None outside of any.
    """

    path: Path
    began: str
    flow_run_id: str | None

    def write(self, now: Snapshot) -> None:
        """Let others see this moment; a disk that is full stops nothing."""
        value = {
            "job": now.name,
            "model": now.model or None,
            "step": now.step or None,
            "number": now.number or None,
            "steps": now.steps or None,
            "done": now.done if now.total else None,
            "total": now.total,
            "unit": now.unit or None,
            "loss_nats": now.loss_nats,
            "percent": round(now.percent, 1) if now.step_left is not None else None,
            "seconds_left": _rounded(now.step_left),
            "seconds_left_of_job": _rounded(now.job_left),
            "sentence": sentence(now),
            "began": self.began,
            "at": _now(),
            "pid": os.getpid(),
            "prefect_flow_run_id": self.flow_run_id,
        }
        fresh = self.path.with_suffix(f".{os.getpid()}.new")
        with contextlib.suppress(OSError):
            # Not durable: after a crash nobody believes it.
            fresh.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
            os.replace(fresh, self.path)


@contextmanager
def posted(folder: Path, name: str, *, flow_run_id: str | None = None) -> Iterator[Notice | None]:
    """Inside, others can see that a job runs; None where a file cannot be written.

    Args:
        folder: Of the board.
        name: Of the job and its model.
        flow_run_id: Of Prefect.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:150] or "job"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{stem}.lock").open("ab")
    except OSError:
        yield None
        return
    with lock:
        # Shared, as a second process with the same job must not wait; a reader holds it a moment.
        fcntl.flock(lock, fcntl.LOCK_SH)
        path = folder / f"{stem}{_SUFFIX}"
        try:
            yield Notice(path=path, began=_now(), flow_run_id=flow_run_id)
        finally:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def running(folder: Path) -> list[dict[str, Any]]:
    """What runs now, by name; nothing that ended, however it did."""
    found = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            with path.with_suffix(".lock").open("rb") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    value = json.loads(path.read_text(encoding="utf-8"))
                    if isinstance(value, dict):
                        found.append(value)
        except (OSError, ValueError):
            continue
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _rounded(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)
