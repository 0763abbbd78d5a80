"""Let a home be moved or copied: MLflow writes absolute paths into its database.

In: the embedded database, the folder of artifacts beside it.  Out: a database whose addresses are
all in the home that it lies in.  Without this a renamed project folder would lose every version,
and a home that was copied, or moved in the middle of a run, would write where it was before.

It does not matter what is found at an address: files that are not here are missing, and are not
read, written or deleted somewhere else.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
from pathlib import Path

logger = logging.getLogger(__name__)

_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
#: What lies in a home and is named: the artifacts, and what MLflow would take for its own default.
_PLACES = re.compile(r"(?P<home>(?:file://)?/.*)/(?:mlflow/artifacts|cwd/mlruns)(?:/.*)?")


def relocate(database: Path, artifacts: Path) -> None:
    """Rewrite addresses of a home that lies elsewhere now; nothing is done where none differs."""
    here = artifacts.parents[1]
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not {table for table, _ in _ADDRESSES} <= tables:
            return
        found = connection.execute("SELECT DISTINCT artifact_location FROM experiments")
        homes = {home for (location,) in found.fetchall() if (home := _home_of(location))}
        for old in homes - {str(here), here.as_uri()}:
            new = here.as_uri() if old.startswith("file:") else str(here)
            for table, column in _ADDRESSES:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608
                    f" WHERE substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, len(old) + 1, f"{old}/"),
                )
            logger.info("the home was moved: MLflow's files are read from %s now", artifacts)


def _home_of(location: str | None) -> str | None:
    match = _PLACES.fullmatch(location or "")
    return match["home"] if match else None
