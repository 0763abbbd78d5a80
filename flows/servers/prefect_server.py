"""A Prefect server for the length of one run, started early and never left behind.

In: a prepared `Home`.  Out: a context in which flows reach a real Prefect server over loopback.

Prefect can start a temporary server itself, but only when the first flow asks for it, after all
imports, and that server survives a killed parent and dies of the Ctrl-C that the run wants to
handle.  Ours starts first and comes up while torch and MLflow are imported, asks for a random
secret (any web page may post to a loopback port), and ends with the process that started it.
Where PREFECT_API_URL names a server, or `lmcore up` runs, nothing is started.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from flows.home import prefect_database
from flows.home.environment import Home
from flows.home.publication import shared_use
from lmcore.durable import number_in, storage_error, storage_number
from lmcore.errors import LmcoreError

_START_SECONDS = 180.0
_STOP_SECONDS = 10.0
_LOG_BYTES = 1 << 20
_FULL_DISK_BYTES = 256 << 10

#: What a server prints that could not work with its database.
_OF_DATABASE = re.compile(r"sqlite|sqlalchemy|alembic", re.IGNORECASE)

#: What `_serve.py` is told to serve.
PREFECT_APP = ("prefect.server.api.server:create_app", "--factory")

_SERVER_SETTINGS = {
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    # Nothing in a single run is triggered or vacuumed; the long-lived server does that.
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
}


class PrefectServerError(LmcoreError):
    """The Prefect server did not come up."""


class PrefectServer:
    """Context in which Prefect's API answers; entering does not wait, `wait` does.

    Example:
        with PrefectServer(home) as server:
            from flows.pipeline import retrain   # heavy imports, while the server starts
            server.wait()
            retrain(config)
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = FileLock(home.locks / "prefect-start.lock")
        self._stack = contextlib.ExitStack()
        self._use = contextlib.ExitStack()
        self._making = contextlib.ExitStack()
        self._deadline = 0.0
        self._log_start: int | None = None
        self._replaced = False
        self._answered = False
        self.api_url = home.prefect_api_url or ""

    @property
    def log(self) -> Path:
        """What the server printed."""
        return self._home.prefect / "server.log"

    def __enter__(self) -> Self:
        if self._home.prefect_api_url is None:
            prefect_database.ready(self._home)
            self._use.enter_context(shared_use(self._home.root))
            try:
                self._start()
            except BaseException:
                self._use.close()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is None or isinstance(error, LmcoreError) or self._log_start is None:
            return
        # Whoever asked a server that cannot write hears something else of it.
        if storage_number(error) is None and (number := self._storage_number()) is not None:
            raise storage_error(self._home.prefect_database, number) from error

    def _start(self) -> None:
        self._deadline = time.monotonic() + _START_SECONDS
        try:
            # Two servers that create or upgrade one database at the same time break it.
            self._lock.acquire(timeout=_START_SECONDS)
        except Timeout as error:
            raise PrefectServerError(
                f"another run has been starting Prefect for {_START_SECONDS:.0f} s in"
                f" {self._home.root}; end it, or use another LMCORE_HOME."
            ) from error
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.unlink()
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        # Where a database was replaced, the template may be what is wrong.
        self._making.enter_context(
            prefect_database.being_started(self._home, from_template=not self._replaced)
        )
        secret = f"lmcore:{secrets.token_urlsafe(24)}"
        with socket.create_server(("127.0.0.1", 0)) as listener, self.log.open("ab") as log:
            port = listener.getsockname()[1]
            self.api_url = f"http://127.0.0.1:{port}/api"
            descriptor = listener.fileno()
            script = Path(__file__).with_name("serve_app.py")
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(script), str(descriptor), *PREFECT_APP],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[descriptor],
                cwd=self._home.empty,
                start_new_session=True,  # Ctrl-C is for the run, which still has states to report
                env={
                    **os.environ,
                    **_SERVER_SETTINGS,
                    "PREFECT_SERVER_API_AUTH_STRING": secret,
                    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port}",
                    "PREFECT_API_URL": self.api_url,
                },
            )
        atexit.register(self.stop)
        self._point_client(secret)

    def _point_client(self, secret: str) -> None:
        settings = {"PREFECT_API_URL": self.api_url, "PREFECT_API_AUTH_STRING": secret}
        before = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)

        def restore() -> None:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

        self._stack.callback(restore)
        if "prefect" in sys.modules:  # it read its settings when it was imported
            from prefect.settings import (
                PREFECT_API_AUTH_STRING,
                PREFECT_API_URL,
                temporary_settings,
            )

            self._stack.enter_context(
                temporary_settings({PREFECT_API_URL: self.api_url, PREFECT_API_AUTH_STRING: secret})
            )

    def wait(self) -> None:
        """Return when the server answers.

        One that ends at its start because of what its database holds gets a new one, once.

        Raises:
            StorageError: If the disk is full or fails.
            PrefectServerError: If it ended or did not answer in three minutes.
        """
        if self._process is None:
            return
        while not self._healthy():
            if (code := self._process.poll()) is not None:
                if (number := self._storage_number()) is not None:
                    raise storage_error(self._home.prefect_database, number)
                if self._start_anew():
                    continue
                raise PrefectServerError(
                    f"the Prefect server ended with code {code}: {self._last_line()};"
                    f" the whole output is in {self.log}."
                )
            if time.monotonic() > self._deadline:
                raise PrefectServerError(
                    f"the Prefect server did not answer in {_START_SECONDS:.0f} s;"
                    f" its output is in {self.log}."
                )
            time.sleep(0.05)
        self._answered = True
        self._making.close()
        self._lock.release()

    def _start_anew(self) -> bool:
        """Start once more, on a new database, where the old one may be the reason."""
        database = self._home.prefect_database
        if self._replaced or not database.exists() or not _OF_DATABASE.search(self._output()):
            return False
        self._replaced = True
        problem = f"the server ended at its start: {self._last_line()}"
        self._end()
        prefect_database.replace(self._home, problem)
        self._use.enter_context(shared_use(self._home.root))
        self._start()
        return True

    def _healthy(self) -> bool:
        # The socket listens before the server does, so a request simply waits in the queue.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.api_url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _storage_number(self) -> int | None:
        """What the disk said to the server; it may not even have had room to write that down."""
        if (found := number_in(self._output())) is not None:
            return found
        full = shutil.disk_usage(self._home.prefect).free < _FULL_DISK_BYTES
        return errno.ENOSPC if full else None

    def _output(self) -> str:
        with self.log.open("rb") as stream:
            stream.seek(self._log_start or 0)
            return stream.read().decode(errors="replace")

    def _last_line(self) -> str:
        lines = self._output().split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")

    def stop(self) -> None:
        """Deliver what Prefect still has to say, then end the server."""
        if self._process is None:
            self._lock.release()
            return
        # Before it answers nothing was told to it, and its libraries may be half imported.
        told = self._answered and "prefect.events.worker" in sys.modules
        if told and self._process.poll() is None:
            _drain()
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        self._stack.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        if prefect_database.is_unfinished(self._home):
            # It would make it to its end first, and the next one makes it anew.
            self._process.kill()
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode == 0:
            prefect_database.found_sound(self._home)
        self._process = None
        # Not closed: where it was still being made, the next server makes it anew.
        self._making.pop_all()
        self._lock.release()
        self._use.close()
        atexit.unregister(self.stop)


def _drain() -> None:
    """Task states travel as events, and logs in batches: both from threads of Prefect's."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all()
    APILogWorker.drain_all()
