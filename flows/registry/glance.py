"""What a home has registered, at a glance: for a greeting and for what a shell completes.

In: LMCORE_HOME as a shell has it.  Out: its models, or None where that cannot be told at once.
Nothing is prepared, made, locked or put right, and whatever is wrong is no error here: the command
that is given next tells it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.registry.embedded_records import Tables
from flows.registry.records import Records
from lmcore.errors import LmcoreError
from lmcore.tasks.task import LANGUAGE_MODELLING
from lmcore.typed_path import typed_path

_WAIT_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class GlancedModel:
    """A model of a pipeline.

    Attributes:
        name: Its name.
        task: What it is a model for.
        aliases: Alias to version number.
        numbers: Of its versions, oldest first.
    """

    name: str
    task: str
    aliases: Mapping[str, int]
    numbers: tuple[int, ...]


def glance(environ: Mapping[str, str] = os.environ) -> list[GlancedModel] | None:
    """Models of the home's own registry, by name; none where there is no home.

    Args:
        environ: Where LMCORE_HOME and MLFLOW_TRACKING_URI may be set.

    Returns:
        None where a server has them, or where they cannot be read.
    """
    if environ.get("MLFLOW_TRACKING_URI", "").strip():
        return None
    try:
        home = Path(environ.get("LMCORE_HOME") or ".lmcore")
        root = typed_path(home, base=Path.cwd(), key="LMCORE_HOME")
        tables = Tables(root / "mlflow" / "mlflow.db", _read_only)
        return glance_at(tables) if tables.is_known() else None
    except (LmcoreError, OSError, sqlite3.Error):
        return None


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_WAIT_SECONDS)


def glance_at(tables: Records) -> list[GlancedModel]:
    """Models of a registry that was prepared, in the same form."""
    found = []
    for model in tables.models():
        if model.is_base:
            continue
        versions = tables.versions(model.name)
        task = versions[-1].tags.get("task") if versions else None
        found.append(
            GlancedModel(
                name=model.name,
                task=task or LANGUAGE_MODELLING.name,
                aliases=dict(model.aliases),
                numbers=tuple(version.version for version in versions),
            )
        )
    return found
