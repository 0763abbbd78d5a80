"""Train in processes of its own: start them, pass on what they tell, and leave none behind.

In: a `Job`. Out: the summary of the checkpoint that rank 0 wrote. The processes are torchrun's
agent and, in sessions of their own, its ranks (`.agent`, `lmcore.training.worker`). Each ends with
the one that started it; here they are ended on a timeout and on any exception. They talk
through files (`lmcore.training.launch.files`), which stay where a training failed.

Ranks of another launcher are only waited for: they find the job by themselves (`.waiting`), and
stop when nobody waits for them any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from lmcore.counted import counted
from lmcore.durable import atomic_write
from lmcore.errors import ConfigError, TrainingError
from lmcore.training.events import Listener, TrainingEvent, TrainingInterrupted
from lmcore.training.hosts.addresses import Endpoint
from lmcore.training.hosts.surroundings import find_meeting
from lmcore.training.launch.failures import failure, refusal
from lmcore.training.launch.files import Job, LaunchFiles, Result, alive_file, read_event

LAUNCH_FOLDER = "launch"
_AGENT = ["-m", "lmcore.training.launch.agent"]
_clock = time.monotonic
_POLL_SECONDS = 0.05
# For torchrun to end its ranks; then the kernel does.
_GRACE_SECONDS = 5.0
# For ranks that the kernel is ending to be gone.
_GONE_SECONDS = 60.0
# For another launcher to start ranks again after one of them failed.
_AGAIN_SECONDS = 600.0


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
    job = _met(job)
    job.folder.mkdir(parents=True, exist_ok=True)
    # A parent that was killed may have left ranks that are still being ended.
    _wait_until_gone(job.folder)
    files = LaunchFiles(job.folder / LAUNCH_FOLDER)
    shutil.rmtree(files.folder, ignore_errors=True)
    files.folder.mkdir()
    files.events.touch()
    external = job.training.launcher == "external"
    with (
        files.parent.open("a+b") as waiting,
        files.events.open(encoding="utf-8") as stream,
    ):
        fcntl.flock(waiting, fcntl.LOCK_EX)
        atomic_write(files.job, job.model_dump_json(indent=1))
        if on_event and (text := _waits_for(job, files)):
            on_event(TrainingEvent(kind="waiting", step=0, steps=0, message=text))
        with _others(job, files) if external else _agent(job, files) as has_ended:
            _follow(job, files, stream, has_ended, on_event=on_event, should_stop=should_stop)
    if not files.result.exists():
        raise failure(files, job.folder)
    result = Result.model_validate_json(files.result.read_bytes())
    if result.summary is None:
        raise TrainingInterrupted(result.step, result.steps, job.folder)
    return result.summary


def _follow(
    job: Job,
    files: LaunchFiles,
    stream: TextIO,
    has_ended: Callable[[], bool],
    *,
    on_event: Listener | None,
    should_stop: Callable[[], bool] | None,
) -> None:
    """Pass on what rank 0 tells and a wish to stop, until the processes have ended."""
    pending = ""
    for ended in _polls(has_ended, job.training.timeout_seconds, folder=job.folder):
        *lines, pending = (pending + stream.read()).split("\n")
        for line in lines:
            if on_event:
                on_event(read_event(line))
        if not ended and should_stop and should_stop():
            files.stop.touch()


def _met(job: Job) -> Job:
    """The same job, where several hosts share it with the address at which they meet."""
    training = job.training
    if training.launcher != "torchrun" or training.hosts == 1:
        return job
    named = training.rendezvous
    meeting = find_meeting(os.environ) if named is None else Endpoint.parse(named)
    if meeting is None:
        raise ConfigError(
            f"training.hosts={training.hosts}, but it is not said where they meet; set"
            " training.rendezvous to HOST:PORT of this host, or MASTER_ADDR in the environment"
        )
    address = str(meeting.reachable(training.interface))
    return job.model_copy(update={"training": training.model_copy(update={"rendezvous": address})})


def _waits_for(job: Job, files: LaunchFiles) -> str:
    """What has to be started elsewhere; nothing where this command starts all."""
    training = job.training
    if training.launcher == "external":
        ranks = counted(training.processes, "rank")
        return f"waits for {ranks}: python -m lmcore.training.worker {files.folder}"
    if training.hosts == 1:
        return ""
    hosts = counted(training.hosts - 1, "more host")
    return f"waits for {hosts}: python -m lmcore.training.launch.join {files.folder}"


@contextlib.contextmanager
def _others(job: Job, files: LaunchFiles) -> Iterator[Callable[[], bool]]:
    """Ranks of another launcher: asked whether they have ended, and to stop at the end."""
    failed_at: list[float] = []

    def has_ended() -> bool:
        if files.result.exists() or refusal(files) is not None:
            return True
        # That launcher may start them again.
        if not list(files.folder.glob("error-*.json")) or _lives(job.folder):
            failed_at.clear()
        elif not failed_at:
            failed_at.append(_clock())
        return bool(failed_at) and _clock() - failed_at[0] > _AGAIN_SECONDS

    try:
        yield has_ended
    finally:
        if not files.result.exists():
            files.stop.touch()
    _wait_until_gone(job.folder)


@contextlib.contextmanager
def _agent(job: Job, files: LaunchFiles) -> Iterator[Callable[[], bool]]:
    """Torchrun on this host; whether it has ended."""
    with agent_process(job, files) as process:
        yield lambda: process.poll() is not None


@contextlib.contextmanager
def agent_process(
    job: Job, files: LaunchFiles, *, joins: bool = False, interface: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Torchrun in a session of its own, as Ctrl-C is for the parent, which saves first.

    Args:
        job: What it does.
        files: Where the job is.
        joins: Whether the first host is another one.
        interface: Of this host, where it differs.
    """
    more: Sequence[str] = ["--joins"] if joins else []
    if interface is not None:
        more = [*more, "--interface", interface]
    log_file = files.joined_log(socket.gethostname()) if joins else files.agent_log
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *_AGENT, str(files.folder), str(os.getpid()), *more],
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
        if not joins:
            _wait_until_gone(job.folder)


def _polls(
    has_ended: Callable[[], bool], timeout_seconds: float | None, *, folder: Path
) -> Iterator[bool]:
    """Yields whether the processes have ended, until they have."""
    started = _clock()
    while True:
        ended = has_ended()
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
    while _lives(folder):
        if time.monotonic() > deadline:
            raise TrainingError(
                f"processes of an earlier training in {folder} do not end; end them first"
            )
        time.sleep(_POLL_SECONDS)


def _lives(folder: Path) -> bool:
    """Whether a rank of this folder lives."""
    # A file of a network is locked for oneself only where it can be written, and shared only where
    # it can be read.
    with alive_file(folder).open("a+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
