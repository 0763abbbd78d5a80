"""Where everything is kept: the folders below LMCORE_HOME.

In: a root, and the variables that choose servers instead.  Out: a `Home` whose folders exist
and take files, or one sentence that says why not.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.home.access import holds_a_home, private
from lmcore.content_store import ContentStore
from lmcore.durable import atomic_write
from lmcore.errors import UserError
from lmcore.typed_path import is_address, typed_path

if TYPE_CHECKING:
    from lmcore.shared_store import SharedStore

#: As `lmcore.shared_store` calls it in what it says.
_SHARED = "LMCORE_CONTENT"

#: Where the packages are installed or checked out; the lock and the docs lie beside them.
PROJECT = Path(__file__).parents[2]

#: What the addresses of databases cannot hold.
_NO_ADDRESS = frozenset("?#%")

#: Flow runs log to Prefect's own record; the console belongs to the command.
_LOGGING = """\
version: 1
disable_existing_loggers: false
formatters:
  plain: {class: flows.printable.CleanFormatter, format: "%(levelname)s %(name)s %(message)s"}
handlers:
  api: {level: 0, class: prefect.logging.handlers.APILogHandler}
  console: {level: WARNING, class: logging.StreamHandler, formatter: plain, stream: ext://sys.stderr}
loggers:
  prefect: {level: WARNING}
  prefect.extra: {level: INFO, handlers: [api], propagate: false}
  prefect.flow_runs: {level: INFO, handlers: [api], propagate: false}
  prefect.task_runs: {level: WARNING, handlers: [api], propagate: false}
  uvicorn: {level: WARNING}
root: {level: WARNING, handlers: [console]}
"""


@dataclass(frozen=True, kw_only=True)
class Home:
    """Every place that the project writes to.

    Attributes:
        root: LMCORE_HOME, absolute.
        started_in: The working directory of the command; paths that users give start here.
        tracking_uri: MLflow store; SQLite below `root` unless MLFLOW_TRACKING_URI is set.
        prefect_api_url: The user's Prefect server; None where a run starts its own.
        stands_for: The home that does not exist, where this one takes its place for one command.
        shared_content: Address or folder where homes share finished work; None: this one is alone.
    """

    root: Path
    started_in: Path
    tracking_uri: str
    prefect_api_url: str | None = None
    stands_for: Path | None = None
    shared_content: str | None = None

    @property
    def place(self) -> Path:
        """Where the home is or would be, for what people are told."""
        return self.stands_for or self.root

    @property
    def content(self) -> Path:
        """Root of the content store: documents, shards, checkpoints, evaluations."""
        return self.root / "content"

    @property
    def shared(self) -> SharedStore | None:
        """Where homes share finished work."""
        if not self.shared_content:
            return None
        # Commands that answer at once wait for none of its libraries.
        from lmcore.shared_store import SharedStore

        return SharedStore(self.shared_content)

    @property
    def store(self) -> ContentStore:
        """The content store, with what other homes made."""
        return ContentStore(self.content, shared=self.shared)

    @property
    def work(self) -> Path:
        """State of unfinished training runs."""
        return self.root / "work"

    @property
    def splits(self) -> Path:
        """SQLite ledger of the split: which side each document is on, for ever."""
        return self.root / "splits.sqlite"

    @property
    def removals(self) -> Path:
        """Append-only list of the documents that must not be trained on any more."""
        return self.root / "removals.jsonl"

    @property
    def mlflow_database(self) -> Path:
        """SQLite store of MLflow in the embedded default."""
        return self.root / "mlflow" / "mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        """Artifacts of MLflow in the embedded default."""
        return self.root / "mlflow" / "artifacts"

    @property
    def dashboard(self) -> Path:
        """The page over all models, written after each run."""
        return self.root / "dashboard.html"

    @property
    def measures(self) -> Path:
        """Figures of all models, written after each run; a node exporter reads the folder."""
        return self.root / "measures" / "lmcore.prom"

    @property
    def requests(self) -> Path:
        """What was asked of models in use, where that is kept, by model."""
        return self.root / "requests"

    @property
    def prefect(self) -> Path:
        """PREFECT_HOME: database, results and server log."""
        return self.root / "prefect"

    @property
    def prefect_database(self) -> Path:
        """SQLite store of Prefect's server, where that is the home's own."""
        return self.prefect / "prefect.db"

    @property
    def logs(self) -> Path:
        """What the servers of `lmcore up` print."""
        return self.root / "logs"

    @property
    def up(self) -> Path:
        """State of `lmcore up`: addresses, configurations, what the watch has seen."""
        return self.root / "up"

    @property
    def running(self) -> Path:
        """What runs now, for other processes to see."""
        return self.root / "running"

    @property
    def cache(self) -> Path:
        """Caches of libraries; may be deleted at any time."""
        return self.root / "cache"

    @property
    def planned_runs(self) -> Path:
        """Times that the scheduler computed; a cache."""
        return self.cache / "planned-runs.json"

    @property
    def locks(self) -> Path:
        """Lock files; they hold no data."""
        return self.root / "locks"

    @property
    def temporary(self) -> Path:
        """TMPDIR of the process: on the same file system as what is renamed out of it."""
        return self.root / "tmp"

    @property
    def empty(self) -> Path:
        """Working directory of the process, where no setting of anybody's lies."""
        return self.root / "cwd"

    @property
    def embedded(self) -> bool:
        """Whether MLflow is the SQLite store below `root`."""
        return self.tracking_uri == _sqlite_uri(self.mlflow_database)

    def resolve(self, path: Path | str) -> Path:
        """A path that the user gave, made absolute against the folder of the command."""
        return typed_path(path, base=self.started_in)


def make_home(
    root: Path,
    *,
    started_in: Path | None = None,
    environ: Mapping[str, str] | None = None,
    stands_for: Path | None = None,
) -> Home:
    """Create the folders of a home; the process itself is left as it is.

    A new home is its owner's alone; see `flows.home.access`.

    Args:
        root: Absolute path.
        started_in: Where relative paths of the user's start; default the working directory.
        environ: Where MLFLOW_TRACKING_URI, PREFECT_API_URL and LMCORE_CONTENT may be set.
        stands_for: As of `Home`.

    Raises:
        UserError: If the folder cannot be written.
    """
    if bad := set(str(root)) & _NO_ADDRESS:
        raise UserError(
            f"LMCORE_HOME={root}: the path contains {sorted(bad)[0]!r}, which database addresses"
            " cannot hold; set LMCORE_HOME to a folder without '?', '#' and '%'."
        )
    chosen = {name: value.strip() for name, value in (environ or {}).items()}
    home = Home(
        root=root,
        started_in=started_in or Path.cwd(),
        tracking_uri=chosen.get("MLFLOW_TRACKING_URI")
        or _sqlite_uri(root / "mlflow" / "mlflow.db"),
        prefect_api_url=chosen.get("PREFECT_API_URL") or None,
        stands_for=stands_for,
        shared_content=_shared_content(chosen.get(_SHARED, ""), base=started_in or Path.cwd()),
    )
    before = os.umask(0)
    os.umask(before)
    try:
        os.umask(private(root))
        folders = (
            *(home.content, home.work, home.mlflow_artifacts, home.prefect),
            *(home.cache, home.locks, home.temporary, home.empty),
            *(home.logs, home.up),
        )
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        # A folder may exist and yet take no file: another owner, a full or read-only disk.
        for folder in (root, *folders):
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"probe")
        logging_file = home.prefect / "logging.yml"
        if not logging_file.exists() or logging_file.read_text(encoding="utf-8") != _LOGGING:
            atomic_write(logging_file, _LOGGING)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"LMCORE_HOME={root}: cannot write there ({reason});"
            " set LMCORE_HOME to a folder that you may write."
        ) from error
    finally:
        os.umask(before)
    return home


def could_be_made(root: Path) -> bool:
    """Whether there is no home in a place that takes one; nothing is made."""
    there = next((folder for folder in (root, *root.parents) if os.path.lexists(folder)), root)
    if set(str(root)) & _NO_ADDRESS or not there.is_dir():
        return False
    open_to_us = os.access(there, os.R_OK | os.W_OK | os.X_OK)
    return open_to_us and not (there == root and holds_a_home(root))


def _shared_content(text: str, *, base: Path) -> str | None:
    if not text:
        return None
    from lmcore.shared_store import check_shared_address

    address = text if is_address(text) else str(typed_path(text, base=base, key=_SHARED))
    check_shared_address(address)
    return address


def _sqlite_uri(path: Path) -> str:
    return f"sqlite:///{path}"
