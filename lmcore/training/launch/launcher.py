"""Train in processes of its own: start them, pass on what they tell, and leave none behind.

In: a `Job`. Out: the summary of the checkpoint that rank 0 wrote. The processes are torchrun's
agent and, in sessions of their own, its ranks (`.agent`, `lmcore.training.worker`). Each ends with
the one that started it; here they are ended on a timeout and on any exception. They talk
through files (`lmcore.training.launch.files`), which stay where a training failed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lmcore import errors
from lmcore.artifacts import atomic_write
from lmcore.errors import LmcoreError, TrainingError
from lmcore.training.events import Listener, TrainingInterrupted
from lmcore.training.launch.files import (
    Job,
    LaunchFiles,
    RankError,
    Result,
    alive_file,
    read_event,
)

LAUNCH_FOLDER = "launch"
_AGENT = ["-m", "lmcore.training.launch.agent"]
_clock = time.monotonic
_POLL_SECONDS = 0.05
# For torchrun to end its ranks; then the kernel does.
_GRACE_SECONDS = 5.0
# For ranks that the kernel is ending to be gone.
_GONE_SECONDS = 60.0


def launch(
    job: Job,
    *,
    on_event: Listener | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Mapping[str, Any]:
    """Train and fill `job.output`; no process is left when this returns or raises.

    Args:
        job: What to do.
        on_event: Is told what happens, in this thread.
        should_stop: Asked several times a second.

    Returns:
        The summary of the checkpoint.

    Raises:
        TrainingInterrupted: If asked to stop; the state is saved.
        TrainingError: If a rank was killed or took too long.
        LmcoreError: What a rank raised.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    # A parent that was killed may have left ranks that are still being ended.
    _wait_until_gone(job.folder)
    files = LaunchFiles(job.folder / LAUNCH_FOLDER)
    shutil.rmtree(files.folder, ignore_errors=True)
    files.folder.mkdir()
    atomic_write(files.job, job.model_dump_json(indent=1))
    files.events.touch()
    with files.events.open(encoding="utf-8") as stream, _agent(job, files) as agent:
        pending = ""
        for ended in _polls(agent, job.training.timeout_seconds, folder=job.folder):
            *lines, pending = (pending + stream.read()).split("\n")
            for line in lines:
                if on_event:
                    on_event(read_event(line))
            if not ended and should_stop and should_stop():
                files.stop.touch()
    if not files.result.exists():
        raise _failure(files, job.folder)
    result = Result.model_validate_json(files.result.read_bytes())
    if result.summary is None:
        raise TrainingInterrupted(result.step, result.steps, job.folder)
    return result.summary


@contextlib.contextmanager
def _agent(job: Job, files: LaunchFiles) -> Iterator[subprocess.Popen[bytes]]:
    """Torchrun in a session of its own, as Ctrl-C is for the parent, which saves first."""
    with files.agent_log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *_AGENT, str(files.folder), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **os.environ,
                "OMP_NUM_THREADS": str(job.threads),
                # A module in the working directory replaces none of ours.
                "PYTHONSAFEPATH": "1",
            },
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        _wait_until_gone(job.folder)


def _polls(
    agent: subprocess.Popen[bytes], timeout_seconds: float | None, *, folder: Path
) -> Iterator[bool]:
    """Yields whether the agent has ended, until it has."""
    started = _clock()
    while True:
        ended = agent.poll() is not None
        yield ended
        if ended:
            return
        if timeout_seconds is not None and _clock() - started > timeout_seconds:
            raise TrainingError(
                f"training took longer than training.timeout_seconds={timeout_seconds:g}, so its"
                f" processes were ended; the newest resume point is kept in {folder}, and the same"
                " command with a higher limit goes on from there"
            )
        time.sleep(_POLL_SECONDS)


def _wait_until_gone(folder: Path) -> None:
    """Return when no rank of this folder lives: each holds a lock as long as it does."""
    deadline = time.monotonic() + _GONE_SECONDS
    with alive_file(folder).open("ab") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TrainingError(
                        f"processes of an earlier training in {folder} do not end; end them first"
                    ) from None
                time.sleep(_POLL_SECONDS)
            else:
                return


def _failure(files: LaunchFiles, folder: Path) -> LmcoreError:
    """The error that says most: ours, then a signal from outside, then the first."""
    reports = sorted(
        (
            RankError.model_validate_json(path.read_bytes())
            for path in files.folder.glob("error-*.json")
        ),
        key=lambda report: report.at,
    )
    for report in reports:
        kind = getattr(errors, report.type, None)
        if isinstance(kind, type) and issubclass(kind, LmcoreError):
            return kind(report.message)
    onwards = f"the same command goes on from the newest resume point in {folder}"
    codes = json.loads(files.exit_codes.read_bytes()) if files.exit_codes.exists() else {}
    for rank, code in codes.items():
        if code < 0 and code != -signal.SIGTERM:
            return TrainingError(
                f"process {rank} of the training was ended by {signal.Signals(-code).name} (the"
                f" system does that when memory is short); {onwards}"
            )
    for report in reports:
        return TrainingError(
            f"process {report.rank} of the training failed ({report.type}: {report.message[:300]});"
            f" its output is in {files.log(report.rank)}, and {onwards}"
        )
    return TrainingError(
        f"the processes of the training ended without a result; their output is in {files.folder},"
        f" and {onwards}"
    )
