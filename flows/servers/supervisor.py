"""Child processes that are kept running, and never left behind.

In: what to start.  Out: processes that answer, that are started again when they crash (later and
later, and not for ever), and that are all gone when the supervisor is, however it ended.

Each child has a session of its own, so Ctrl-C reaches the supervisor alone, and a pipe as standard
input that it must end with: the kernel closes the pipe with the supervisor.  A listening socket is
made here and inherited, so it survives a crash of the server behind it: a request that comes in
between waits for the next server instead of failing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lmcore.errors import LmcoreError

logger = logging.getLogger(__name__)

_LOG_BYTES = 10 << 20
_POLL_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 30.0


class ServiceError(LmcoreError):
    """A child process did not come up, or crashes again and again."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """One child process.

    Attributes:
        name: For people, and for its log file.
        command: Arguments; `{fd}` stands for the descriptor of its listening socket.
        environ: Its whole environment.
        folder: Its working directory.
        log: Where it prints.
        ready: Whether it answers.
        listener: Bound and listening; None for a process that serves nobody.
        stop_seconds: How long it may take to end by itself.
    """

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    folder: Path
    log: Path
    ready: Callable[[], bool]
    listener: socket.socket | None = None
    stop_seconds: float = 10.0


@dataclass
class _Child:
    service: Service
    process: subprocess.Popen[bytes] | None = None
    crashes: list[float] = field(default_factory=list)
    start_at: float = 0.0


class Supervisor:
    """Starts services, waits until they answer, keeps them running.

    Args:
        services: In the order of their start; they are stopped in the opposite one.
        most_crashes: A service that crashes more often than this within `window_seconds` is
            given up, and all are stopped.
        window_seconds: See `most_crashes`.
    """

    def __init__(
        self, services: Sequence[Service], *, most_crashes: int = 5, window_seconds: float = 600.0
    ) -> None:
        self._children = [_Child(service) for service in services]
        self._most_crashes = most_crashes
        self._window_seconds = window_seconds

    def start(
        self, *, timeout_seconds: float, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Start all, and return when all answer.

        Raises:
            ServiceError: If one ends, or one does not answer in time; all are stopped.
            KeyboardInterrupt: If `should_stop` says so meanwhile.
        """
        deadline = time.monotonic() + timeout_seconds
        try:
            for child in self._children:
                self._spawn(child)
            waiting = list(self._children)
            while waiting:
                if should_stop():
                    raise KeyboardInterrupt
                for child in waiting:
                    assert child.process is not None
                    if (code := child.process.poll()) is not None:
                        raise ServiceError(f"{_ended(child.service, code)}.")
                waiting = [child for child in waiting if not child.service.ready()]
                if waiting and time.monotonic() > deadline:
                    service = waiting[0].service
                    raise ServiceError(
                        f"{service.name} did not answer in {timeout_seconds:.0f} s; its output is"
                        f" in {service.log}."
                    )
                if waiting:
                    time.sleep(_POLL_SECONDS / 4)
        except BaseException:
            self.stop()
            raise

    def watch(self, should_stop: Callable[[], bool]) -> None:
        """Keep all running until `should_stop`; stopping them is the caller's.

        Raises:
            ServiceError: If a service crashes too often.
        """
        while not should_stop():
            for child in self._children:
                self._look_after(child)
            time.sleep(_POLL_SECONDS)

    def _look_after(self, child: _Child) -> None:
        service, now = child.service, time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._spawn(child)
            return
        if (code := child.process.poll()) is None:
            _cut(service.log)
            return
        _kill_session(child.process.pid)
        _close_input(child.process)
        child.process = None
        child.crashes = [at for at in child.crashes if now - at < self._window_seconds] + [now]
        if len(child.crashes) > self._most_crashes:
            raise ServiceError(
                f"{_ended(service, code)}; that makes {len(child.crashes)} times in"
                f" {self._window_seconds / 60:.0f} minutes, so everything is stopped."
            )
        pause = min(2.0 ** (len(child.crashes) - 1) - 1, _LONGEST_PAUSE_SECONDS)
        child.start_at = now + pause
        when = f"in {pause:.0f} s" if pause else "now"
        logger.warning("%s; it is started again %s", _ended(service, code), when)

    def _spawn(self, child: _Child) -> None:
        service = child.service
        descriptor = service.listener.fileno() if service.listener is not None else -1
        with service.log.open("ab") as log:
            child.process = subprocess.Popen(
                [argument.format(fd=descriptor) for argument in service.command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[descriptor] if descriptor >= 0 else [],
                cwd=service.folder,
                start_new_session=True,
                env=dict(service.environ),
            )

    def stop(self, *, hurry: Callable[[], bool] = lambda: False) -> None:
        """End all, the last started first; what takes too long, or is in the way, is killed."""
        for child in reversed(self._children):
            process, child.process = child.process, None
            if process is None:
                continue
            _close_input(process)
            deadline = time.monotonic() + child.service.stop_seconds
            while process.poll() is None and time.monotonic() < deadline and not hurry():
                time.sleep(_POLL_SECONDS / 4)
            _kill_session(process.pid)
            process.wait()
            if child.service.listener is not None:
                child.service.listener.close()

    @property
    def pids(self) -> dict[str, int | None]:
        """Name of each service to the number of its process; None while it is down."""
        return {
            child.service.name: child.process.pid if child.process else None
            for child in self._children
        }


def _kill_session(leader: int) -> None:
    """End what a child has started: after a crash nobody else would."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _close_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _ended(service: Service, code: int) -> str:
    if code < 0:
        return f"{service.name} was ended by signal {-code} (its output is in {service.log})"
    return f"{service.name} ended with code {code}: {_last_line(service.log)} (see {service.log})"


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 8192))
            lines = stream.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return "no output"
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "no output")


def _cut(log: Path) -> None:
    """Keep one older file; the child appends, so it goes on at the new end of the file."""
    with contextlib.suppress(OSError):
        if log.stat().st_size > _LOG_BYTES:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)
