"""Where everything is kept, and what no file or variable of the user's can change by accident.

In: `LMCORE_HOME`, and the few variables that choose a server.  Out: a `Home` with every path
that the project writes to, and a process environment in which Prefect, MLflow and the Hugging
Face libraries write there and nowhere else, call nobody and print little.

Prefect and MLflow read settings from the working directory (`prefect.toml`, `pyproject.toml`,
`.env`, `mlruns`), from the user's home folder and from the environment, and they do so whenever
they build their settings, in child processes too.  So `prepare` drops their variables, names every
location itself, and moves the process into an empty folder of ours.  Paths of the user's are read
against the folder where the command was given: `Home.started_in`, `Home.resolve`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path

from flows.home.access import as_the_user, enter
from flows.home.folders import Home, could_be_made, make_home
from flows.home.publication import adopt
from lmcore.typed_path import typed_path

#: Kept when the user's own Prefect server is chosen with PREFECT_API_URL.
_PREFECT_KEPT = (
    "PREFECT_API_",
    "PREFECT_CLIENT_",
    "PREFECT_CLOUD_",
    "PREFECT__",  # what a worker hands to the flow run that it starts
)
#: Kept when the user's own MLflow server is chosen with MLFLOW_TRACKING_URI.
_MLFLOW_KEPT = (
    "MLFLOW_TRACKING_",
    "MLFLOW_REGISTRY_",
    "MLFLOW_S3_",
    "MLFLOW_HTTP_",
    "MLFLOW_ARTIFACT_",
    "MLFLOW_BOTO_",
)
__all__ = ["Home", "allow_hub", "current", "isolate", "make_home", "prepare"]

_prepared: Home | None = None
#: What the process was given, before its settings took its place.
_given: dict[str, str] = {}


def prepare(root: Path | None = None, *, makes_home: bool = True) -> Home:
    """Make this process write below the home folder only, and be deaf to stray settings.

    Must run before prefect, mlflow, datasets or matplotlib are imported.  The second call in a
    process returns the first one's answer.

    Args:
        root: The home folder; default LMCORE_HOME, else `.lmcore` in the working directory.
        makes_home: Whether a home is made where there is none; otherwise a folder takes its place
            that goes with the process, so that whoever only looks leaves nothing behind.

    Raises:
        UserError: If the folder cannot be written.
    """
    global _prepared
    started_in = Path.cwd()
    chosen = root or Path(os.environ.get("LMCORE_HOME") or ".lmcore")
    absolute = typed_path(chosen, base=started_in, key="LMCORE_HOME")
    if _prepared is not None:
        assert root is None or absolute == _prepared.root, "one process has one home"
        return _prepared
    # A runner or worker of Prefect's has started this process and told it where the server is.
    flow_run = "PREFECT__FLOW_RUN_ID" in os.environ and "prefect" in sys.modules
    early = [name for name in ("prefect", "mlflow", "datasets") if name in sys.modules]
    assert flow_run or not early, f"{early[0]} was imported before its environment was prepared"
    adopt(os.environ, absolute)
    stand_in = None if makes_home else _stand_in(absolute)
    home = make_home(
        stand_in or absolute,
        started_in=started_in,
        environ=os.environ,
        stands_for=absolute if stand_in else None,
    )
    enter(home.root)
    # Relative entries would mean another folder after the change of directory.
    sys.path[:] = [str(started_in / entry) for entry in sys.path]
    _given.update(os.environ)
    isolate(os.environ, home)
    tempfile.tempdir = None
    os.chdir(home.empty)
    _prepared = home
    if not home.stands_for:
        # What this process wrote to the registry, or had a server write, is kept a second time.
        atexit.register(_keep_registry, home)
    return home


def _stand_in(root: Path) -> Path | None:
    """An empty folder that goes with the process; None where the home itself is to be used.

    What is fetched from a server stays for the next command, so there a home is made.
    """
    if os.environ.get("MLFLOW_TRACKING_URI", "").strip() or not could_be_made(root):
        return None
    folder = Path(tempfile.mkdtemp(prefix="lmcore-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _keep_registry(home: Home) -> None:
    if home.mlflow_database.exists():
        from flows.home.registry_database import keep

        keep(home)


def current() -> Home:
    """The home of this process, prepared now if it was not before."""
    return _prepared or prepare()


@contextmanager
def as_it_was_given() -> Iterator[None]:
    """Inside, programs are started as the user's shell would: a browser finds its own settings."""
    ours = dict(os.environ)
    with as_the_user():
        try:
            if _given:
                os.environ.clear()
                os.environ.update(_given)
            yield
        finally:
            os.environ.clear()
            os.environ.update(ours)


def isolate(environ: MutableMapping[str, str], home: Home) -> None:
    """Replace settings that leaked into `environ` with those of `home`.

    Every PREFECT_* and MLFLOW_* variable is dropped, whatever its case, except those that say
    how to reach a server which the user chose with PREFECT_API_URL or MLFLOW_TRACKING_URI.
    """
    kept = (_PREFECT_KEPT if home.prefect_api_url else ()) + (() if home.embedded else _MLFLOW_KEPT)
    for name in list(environ):
        upper = name.upper()
        if upper.startswith(("PREFECT_", "MLFLOW_", "_MLFLOW_")) and not upper.startswith(kept):
            del environ[name]
    environ.update(_settings(home, environ))
    for name, value in _defaults(home).items():
        environ.setdefault(name, value)


def _settings(home: Home, environ: Mapping[str, str]) -> dict[str, str]:
    settings = {
        "LMCORE_HOME": str(home.root),
        "TMPDIR": str(home.temporary),
        # Telemetry of every dependency; MLflow accepts the word `true` alone.
        "DO_NOT_TRACK": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # Prefect
        "PREFECT_HOME": str(home.prefect),
        "PREFECT_PROFILES_PATH": str(home.prefect / "profiles.toml"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": _prefect_database(home),
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "lmcore,flows",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLI_PROMPT": "false",
        # Well inside the silence after which a flow run counts as crashed
        # (flows/servers/automations.py).
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "60",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        # MLflow
        "MLFLOW_TRACKING_URI": home.tracking_uri,
        "MLFLOW_REGISTRY_URI": environ.get("MLFLOW_REGISTRY_URI") or home.tracking_uri,
        "MLFLOW_CONFIGURE_LOGGING": "false",
        "MLFLOW_UV_AUTO_DETECT": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # stdout is for answers
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        # Files go through the server; its object store may be out of reach from here.
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
        # Caches and settings of libraries
        "HF_HOME": str(home.cache / "huggingface"),
        "HF_EVALUATE_OFFLINE": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": str(home.cache / "matplotlib"),
        "TORCH_HOME": str(home.cache / "torch"),
        "TORCHINDUCTOR_CACHE_DIR": str(home.cache / "inductor"),
        "XDG_CACHE_HOME": str(home.cache / "xdg"),
        "XDG_CONFIG_HOME": str(home.cache / "config"),
        "XDG_DATA_HOME": str(home.cache / "data"),
        "TOKENIZERS_PARALLELISM": environ.get("TOKENIZERS_PARALLELISM", "true"),
    }
    # As it was meant where the command was given.
    if home.shared_content:
        settings["LMCORE_CONTENT"] = home.shared_content
    # A proxy of the user's must not be asked for the loopback address.
    local = [environ.get("NO_PROXY") or environ.get("no_proxy"), "127.0.0.1", "localhost"]
    settings["NO_PROXY"] = settings["no_proxy"] = ",".join(part for part in local if part)
    for leak in ("HF_DATASETS_CACHE", "HF_MODULES_CACHE", "HF_METRICS_CACHE", "HF_HUB_CACHE"):
        if leak in environ:
            settings[leak] = str(home.cache / "huggingface" / leak.split("_")[1].lower())
    return settings


def _defaults(home: Home) -> dict[str, str]:
    # A server whose database restarts says 500; asked again it takes two minutes to give up.
    patience = {"PREFECT_CLIENT_RETRY_EXTRA_CODES": "500", "PREFECT_CLIENT_MAX_RETRIES": "6"}
    # A hub data set is the one thing that needs the network: see `allow_hub`.
    # Calls that need the server are made again for longer (flows/home/patience.py).
    retries = {} if home.embedded else {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
    return {
        **(patience if home.prefect_api_url else {}),
        **retries,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_TOKEN_PATH": str(Path.home() / ".cache" / "huggingface" / "token"),
    }


def allow_hub() -> None:
    """Let the Hugging Face libraries use the network: a source is a data set of the hub.

    Call it before they are imported; a user's own HF_HUB_OFFLINE=1 is not distinguished from the
    default, because a source of the hub says more clearly that the network is wanted.
    """
    os.environ["HF_HUB_OFFLINE"] = "0"
    os.environ["HF_DATASETS_OFFLINE"] = "0"


def _prefect_database(home: Home) -> str:
    return f"sqlite+aiosqlite:///{home.prefect_database}"
