"""An empty database of Prefect's server, made once for an installation: each new home copies it.

    python -m flows.home.prefect_template

Prefect makes a database by all migrations that it ever had, which takes some five seconds of a
processor and gives the same tables every time.  So the Makefile has them made once, when it
installs.  Where there is none, or it is damaged, the server makes its own as ever; one of another
version of Prefect is never looked at.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lmcore.kept_database import opened, problem_of, remove_database


def template() -> Path:
    """Where the database of this installation is, if it was made."""
    return Path(sys.prefix) / "share" / "lmcore" / f"prefect-{version('prefect')}.sqlite"


def copy_to(database: Path) -> None:
    """Begin a home's database with the template, where that is there and sound.

    Args:
        database: The file to make, which is not there.

    Raises:
        OSError: If its disk is full or fails.
        StorageError: If SQLite says so.
    """
    try:
        source = template().open("rb")
    except (FileNotFoundError, NotADirectoryError):
        return
    database.touch(mode=0o600, exist_ok=False)
    with source, database.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    if problem_of(database) is not None:
        remove_database(database)


def make() -> None:
    """Make the template, in one step; who copies it meanwhile has the old one or the new one."""
    target = template()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        made = Path(name) / "prefect.db"
        os.environ["PREFECT_HOME"] = name
        os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{made}"
        # Prefect reads its settings when it is imported.
        from prefect.server.database import provide_database_interface

        asyncio.run(_migrate(provide_database_interface()))
        with opened(made) as database:
            # Without a journal beside it, so that the file is all there is.
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        made.replace(target)


async def _migrate(database: Any) -> None:
    await database.run_migrations_upgrade()
    await (await database.engine()).dispose()


if __name__ == "__main__":
    make()
