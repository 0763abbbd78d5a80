"""The files that MLflow keeps around a version: what it loads it by, and what is installed for it.

In: MLflow's folder of a model.  Out: hashes, which become a tag of the version; and a check of the
folder against them.  The version's manifest cannot list them: MLflow writes them when it has the
version.  A version of an earlier release has no such tag; then `MLmodel` may say what we write.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from flows.registry.tag_values import read_object
from lmcore.digests import sha256_file
from lmcore.errors import IntegrityError
from lmcore.mlmodel import VERSION_PLACE, check_mlmodel

TAG = "mlflow_files"
#: Written by MLflow beside a model that somebody has loaded; it is never read back.
_BY_LOADING = "registered_model_meta"


def file_hashes(model: Path) -> dict[str, str]:
    """sha256 of each file but the version's own, by its place in the folder."""
    found = {}
    for folder, inner, names in os.walk(model):
        place = Path(folder).relative_to(model)
        inner[:] = [name for name in inner if (place / name).as_posix() != VERSION_PLACE]
        for name in ((place / name).as_posix() for name in names):
            if name != _BY_LOADING and (model / name).is_file():
                found[name] = sha256_file(model / name)
    return dict(sorted(found.items()))


def recorded(tags: Mapping[str, str]) -> dict[str, str]:
    """What `file_hashes` gave when the version was registered; empty where nobody wrote it down."""
    return {str(k): str(v) for k, v in (read_object(tags.get(TAG)) or {}).items()}


def check_files(model: Path, tags: Mapping[str, str], *, only: Collection[str] = ()) -> None:
    """Refuse a folder from which MLflow would load, or have installed, anything else.

    Args:
        model: MLflow's folder of a model.
        tags: Of the version.
        only: The files that were fetched; none means that all are there.

    Raises:
        IntegrityError: If a file is missing, changed or added.
    """
    check_mlmodel(model)
    if TAG not in tags:
        return
    wanted, found = recorded(tags), file_hashes(model)
    for name in sorted(set(only) or {*wanted, *found}):
        if wanted.get(name) != found.get(name):
            what = "was added" if name not in wanted else "is not what was registered"
            what = what if name in found else "is missing"
            raise IntegrityError(
                f"{model / name}: {what}; MLflow loads or installs from this folder, so nothing was"
                " loaded. Use another version, or restore the file"
            )
