"""How a command finds the servers of `lmcore up`: a file below the home, and a lock that is held.

In: a home folder.  Out: the addresses and the login of the servers that run for it, or None.

Two Prefect servers on one SQLite database lose runs.  So `up` holds a lock exclusively for its
life, each command that has a Prefect server of its own holds it shared, and the file is believed
only while the lock is held exclusively.  The kernel frees a lock with its process, so what a killed
`up` left behind is never taken for a running one.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from flows.home.folders import Home
from lmcore.durable import atomic_write
from lmcore.errors import LmcoreError, UserError

_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\]):\d{1,5}(/api)?")
#: What chooses a server, and the names of all that belongs to the choice.
_CHOICES = {"PREFECT_API_URL": "PREFECT_API_", "MLFLOW_TRACKING_URI": "MLFLOW_TRACKING_"}
_START_SECONDS = 120.0
_LOCK_SECONDS = 3.0


class ServersStartingError(LmcoreError):
    """`lmcore up` holds the home, but its servers do not answer yet."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """The servers of a running `lmcore up`.

    Attributes:
        pid: The process that supervises them.
        prefect_api_url: Prefect's API.
        mlflow_url: MLflow's pages and API.
        dashboard_url: The dashboard.
        user: Name for all three.
        password: Drawn at random for each start.
        serve_url: Where the champions answer; the password is the key.
    """

    pid: int
    prefect_api_url: str
    mlflow_url: str
    dashboard_url: str
    user: str
    password: str
    serve_url: str = ""

    @property
    def login(self) -> str:
        """`user:password`, as the servers are told it."""
        return f"{self.user}:{self.password}"

    @property
    def prefect_url(self) -> str:
        """Prefect's pages."""
        return self.prefect_api_url.removesuffix("/api")

    def settings(self) -> dict[str, str]:
        """Environment variables with which Prefect's and MLflow's clients reach the servers."""
        return {
            "PREFECT_API_URL": self.prefect_api_url,
            "PREFECT_API_AUTH_STRING": self.login,
            "MLFLOW_TRACKING_URI": self.mlflow_url,
            "MLFLOW_TRACKING_USERNAME": self.user,
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }


def publication_file(root: Path) -> Path:
    """Where the addresses are written; readable by the owner alone."""
    return root / "up" / "servers.json"


def publish(root: Path, publication: Publication) -> None:
    """Let other commands find the servers; the caller holds `exclusive_use`."""
    text = json.dumps(asdict(publication), indent=1)
    atomic_write(publication_file(root), text, mode=0o600)


def withdraw(root: Path) -> None:
    """Take the addresses back."""
    publication_file(root).unlink(missing_ok=True)


def published(root: Path) -> Publication | None:
    """The servers that run for this home; None where there are none.

    Raises:
        ServersStartingError: If `lmcore up` runs, and does not say in two minutes where.
    """
    deadline = time.monotonic() + _START_SECONDS
    while held_by_up(root):
        found = _read(publication_file(root))
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise ServersStartingError(
                f"`lmcore up` runs in {root}, but its servers do not answer after"
                f" {_START_SECONDS:.0f} s; look into {root / 'logs'}, or end it."
            )
        time.sleep(0.2)
    return None


def left_behind(root: Path) -> Publication | None:
    """The servers of an `lmcore up` that was killed; the caller holds `exclusive_use`."""
    return _read(publication_file(root))


def adopt(environ: MutableMapping[str, str], root: Path) -> None:
    """Point `environ` at the servers of `up`, except where the user chose another server."""
    chosen = {name for name in _CHOICES if environ.get(name, "").strip()}
    found = published(root) if len(chosen) < len(_CHOICES) else None
    if found is None:
        return
    for choice, prefix in _CHOICES.items():
        if choice not in chosen:
            for name in [name for name in environ if name.upper().startswith(prefix)]:
                del environ[name]
            own = {k: v for k, v in found.settings().items() if k.startswith(prefix)}
            environ.update(own)


def lasting_tracking_uri(home: Home) -> str:
    """MLflow's address to be written down: without a login, and good when `up` has ended.

    The servers of `up` show the home's own database, whose address does not change with them.
    """
    found = None if home.embedded else published(home.root)
    if found is not None and found.mlflow_url == home.tracking_uri:
        return f"sqlite:///{home.mlflow_database}"
    parts = urlsplit(home.tracking_uri)
    if "@" not in parts.netloc:
        return home.tracking_uri
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def remedy(home: Home) -> str:
    """What to do where a server that this home works with does not come back."""
    again = "the same command goes on from there"
    if home.embedded and home.prefect_api_url is None:
        return again
    found = _read(publication_file(home.root))
    if found and (found.mlflow_url, found.prefect_api_url) == (
        home.tracking_uri,
        home.prefect_api_url,
    ):
        return f"{again}, with `lmcore up` or without it"
    return f"start it, and {again}"


@contextmanager
def exclusive_use(root: Path) -> Iterator[None]:
    """Be the `lmcore up` of a home.

    Raises:
        UserError: If there is one already, or a run with servers of its own is in progress.
    """
    with _open_lock(root) as descriptor:
        # Another command looks at the lock for a moment when it starts.
        deadline = time.monotonic() + _LOCK_SECONDS
        while not _take(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise UserError(_refusal(root, descriptor))
            time.sleep(0.1)
        yield


@contextmanager
def shared_use(root: Path) -> Iterator[None]:
    """Have a Prefect server of one's own on the home's database.

    Raises:
        UserError: If `lmcore up` has taken the home meanwhile.
    """
    with _open_lock(root) as descriptor:
        if not _take(descriptor, fcntl.LOCK_SH):
            raise UserError(
                f"`lmcore up` has just started in {root}; give the command again, it will use"
                " its servers."
            )
        yield


def _refusal(root: Path, descriptor: int) -> str:
    if _take(descriptor, fcntl.LOCK_SH):
        return (
            f"a run with a Prefect server of its own is in progress in {root}; start `lmcore up`"
            " when it has ended (two servers on one database lose runs)."
        )
    found = _read(publication_file(root))
    where = f" (process {found.pid}; Prefect {found.prefect_url})" if found else ""
    return f"`lmcore up` runs already in {root}{where}; end it first, or use another LMCORE_HOME."


def held_by_up(root: Path) -> bool:
    """Whether an `lmcore up` has the home, from before its servers start until it has ended."""
    if not _lock_file(root).exists():
        return False
    try:
        with _open_lock(root) as descriptor:
            return not _take(descriptor, fcntl.LOCK_SH)
    except OSError:
        return False  # a home that cannot be written says so itself


def _take(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_file(root: Path) -> Path:
    return root / "locks" / "servers.lock"


@contextmanager
def _open_lock(root: Path) -> Iterator[int]:
    descriptor = os.open(_lock_file(root), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(path: Path) -> Publication | None:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        found = Publication(**values)
    except (OSError, ValueError, TypeError):
        return None
    addresses = (found.prefect_api_url, found.mlflow_url, found.dashboard_url)
    sound = all(isinstance(url, str) and _LOOPBACK.fullmatch(url) for url in addresses)
    return found if sound and isinstance(found.pid, int) else None
