"""Let a home be moved or copied: MLflow writes absolute paths into its database.

In: the embedded database, the folder of artifacts beside it.  Out: a database whose addresses name
that folder.  Without this a renamed project folder would lose every version, and a copied home
would write into the one that it was copied from.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sqlite3
from pathlib import Path
from urllib.parse import unquote, urlparse

logger = logging.getLogger(__name__)

_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def relocate(database: Path, artifacts: Path) -> None:
    """Rewrite addresses of a home that lies elsewhere now; nothing is done where none differs.

    An address is rewritten only if what it names is found in `artifacts`.
    """
    here = artifacts.as_uri()
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not {table for table, _ in _ADDRESSES} <= tables:
            return
        found = connection.execute("SELECT DISTINCT artifact_location FROM experiments")
        for old in {_root_of(location) for (location,) in found.fetchall()}:
            if old and old != here and _holds(connection, old, artifacts):
                for table, column in _ADDRESSES:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?)"  # noqa: S608
                        f" WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (here, len(old) + 1, old, len(old) + 1, f"{old}/"),
                    )
                logger.info("the home was moved: MLflow's files are read from %s now", artifacts)


def _root_of(location: str | None) -> str | None:
    """The folder of artifacts; an experiment that a server made has one of its own inside."""
    match = re.fullmatch(r"(.*/mlflow/artifacts)(/\d+)?", location or "")
    return match[1] if match else None


def _holds(connection: sqlite3.Connection, old: str, artifacts: Path) -> bool:
    rows = connection.execute(
        "SELECT artifact_location FROM logged_models UNION SELECT artifact_uri FROM runs"
    )
    return any(
        (artifacts / unquote(urlparse(location[len(old) + 1 :]).path)).exists()
        for (location,) in rows
        if location and location.startswith(f"{old}/")
    )
