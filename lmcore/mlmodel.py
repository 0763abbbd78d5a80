"""MLflow's own description of a stored version, `MLmodel`: what it makes MLflow import and run.

In: MLflow's folder of a model.  Out: nothing, or one sentence.  The file lies outside of the
manifest of a version, because MLflow writes it; whoever changes it decides which module
`mlflow.pyfunc` imports and what is put in front of `sys.path`.  So only the few values that we
write are let through.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lmcore.errors import ConfigError, IntegrityError
from lmcore.yaml_file import read_yaml

FILE = "MLmodel"
#: Where a version lies in MLflow's folder; what the loader is given.
VERSION_PLACE = "data/version"
LOADER = "lmcore.serving"
_FLAVOR = "python_function"
#: What the flavour may say, and what of that runs code.  `env` names files beside it, which are
#: read by installers alone.
_FIXED: dict[str, Any] = {
    "loader_module": LOADER,
    "data": VERSION_PLACE,
    "code": None,
    "config": None,
    "model_config": None,
    "predict_fn": "predict",
    "streamable": False,
}
_FREE = {"env", "python_version"}


def check_mlmodel(folder: Path) -> None:
    """Refuse a description that makes MLflow load anything but the version, or with another code.

    Args:
        folder: MLflow's folder of a model.

    Raises:
        IntegrityError: If there is none, or it says anything that was not written with a version.
    """
    path = folder / FILE
    try:
        value = read_yaml(path)
    except (ConfigError, yaml.YAMLError, RecursionError) as error:
        raise IntegrityError(
            f"{path}: MLflow's description of the model cannot be read"
            f" ({str(error).splitlines()[0][:200]}); nothing was loaded. Use another version, or"
            " restore the file"
        ) from error
    flavors = value.get("flavors")
    ours = flavors.get(_FLAVOR) if isinstance(flavors, dict) else None
    if not isinstance(flavors, dict) or set(flavors) != {_FLAVOR} or not isinstance(ours, dict):
        raise _changed(path, "flavors", sorted(flavors) if isinstance(flavors, dict) else flavors)
    if "loader_module" not in ours or "data" not in ours:
        raise _changed(path, "loader_module", None)
    for key, found in ours.items():
        if key not in _FREE and (key not in _FIXED or found != _FIXED[key]):
            raise _changed(path, key, found)


def _changed(path: Path, key: str, found: object) -> IntegrityError:
    return IntegrityError(
        f"{path}: {key} is {str(found)[:80]!r}, which makes MLflow run other code than the"
        " version's; nothing was loaded. Use another version, or restore the file"
    )
