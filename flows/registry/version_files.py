"""The files of registered versions: stored as MLflow models, and opened where they are verified.

In: a `VersionFolder`.  Out: the same files as a model that `mlflow.pyfunc` can load too, and beside
them a wheel of the code that loads it.  In the embedded default files are used where they lie; from
a server they are fetched once.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import warnings
from pathlib import Path

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

from flows.home.environment import Home
from flows.registry.artifact_files import is_local, path_of, remove_artifacts, stored_bytes
from flows.registry.code_wheel import code_wheel
from flows.registry.connection import experiment
from flows.registry.versions import Version
from lmcore.artifacts import fsync_directory
from lmcore.errors import IntegrityError
from lmcore.serving import ANSWER_COLUMNS, PARAMETERS, input_column
from lmcore.tasks.task import LANGUAGE_MODELLING
from lmcore.version_folder import VersionFolder, open_version

_DATA = "data/version"  # of MLflow's model folder; what `loader_module` is given


class VersionFiles:
    """Files of the versions of one registry.

    Args:
        home: A prepared home.
        client: Of its registry.
    """

    def __init__(self, home: Home, client: MlflowClient) -> None:
        self._home, self._client = home, client

    def open(self, version: Version) -> VersionFolder:
        """Verify the files of a version against its registered manifest.

        In the embedded default they are used where they lie; from a server they are fetched once.

        Raises:
            IntegrityError: If they are missing or differ.
        """
        folder = self._local_folder(version)
        if not folder.is_dir():
            raise IntegrityError(
                f"{folder}: the files of version {version.number} of {version.model} are missing;"
                " nothing was loaded. Restore them or use another version"
            )
        return open_version(folder, manifest_sha256=version.manifest_sha256)

    def _local_folder(self, version: Version) -> Path:
        location = self.location(version)
        if is_local(location):
            return path_of(location) / _DATA
        cached = self._cached(version)
        with FileLock(self._home.locks / f"fetch-{version.manifest_sha256[:16]}.lock"):
            if not cached.exists():
                self._download(version, cached)
        return cached

    def location(self, version: Version) -> str:
        """Where MLflow keeps the files of a version."""
        model_id = version.source.removeprefix("models:/")
        return str(self._client.get_logged_model(model_id).artifact_location)

    def _download(self, version: Version, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            fetched = self._fetch(self.location(version), Path(scratch))
            open_version(fetched, manifest_sha256=version.manifest_sha256)
            fetched.rename(target)
        fsync_directory(target.parent)

    def _fetch(self, location: str, scratch: Path) -> Path:
        from mlflow.artifacts import download_artifacts

        # By its address: to MLflow `models:/ID/folder` is version `folder` of a model named ID.
        fetched = download_artifacts(
            artifact_uri=f"{location.rstrip('/')}/{_DATA}",
            dst_path=str(scratch),
            tracking_uri=self._home.tracking_uri,
        )
        return Path(fetched)

    def store(
        self, name: str, folder: VersionFolder, *, run_id: str, task: str, example: str
    ) -> str:
        """Upload a version as an MLflow model and verify what was stored.

        Args:
            name: Registered model.
            folder: The verified version.
            run_id: MLflow run that made it.
            task: Decides the signature.
            example: Input that MLflow shows and tries.

        Returns:
            Its address, `models:/ID`.

        Raises:
            IntegrityError: If what was stored differs from the manifest.
        """
        import pandas as pd

        # MLflow's store looks models up through the address of the process, not of the client.
        mlflow.set_tracking_uri(self._home.tracking_uri)
        model = self._client.create_logged_model(
            experiment(self._home, name), name="model", source_run_id=run_id
        )
        uri = f"models:/{model.model_id}"
        try:
            with tempfile.TemporaryDirectory(dir=self._home.temporary) as scratch:
                data, saved = Path(scratch) / "version", Path(scratch) / "model"
                shutil.copytree(folder.path, data)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of MLflow about its own defaults
                    mlflow.pyfunc.save_model(
                        saved,
                        loader_module="lmcore.serving",
                        data_path=str(data),
                        signature=_signature(task),
                        input_example=pd.DataFrame({input_column(task): [example]}),
                        pip_requirements=code_wheel().requirements(),
                    )
                code_wheel().write(saved)
                self._client.log_model_artifacts(model.model_id, str(saved))
            location = str(model.artifact_location)
            if is_local(location):
                stored = path_of(location) / _DATA
                if not stored.is_dir():
                    raise IntegrityError(f"{stored}: MLflow did not store the version")
                open_version(stored, manifest_sha256=folder.manifest_sha256)
            else:
                self._verify_remote(location, folder)
            self._client.finalize_logged_model(model.model_id, "READY")
        except BaseException:
            with contextlib.suppress(Exception):
                self._client.finalize_logged_model(model.model_id, "FAILED")
            raise
        return uri

    def _verify_remote(self, location: str, folder: VersionFolder) -> None:
        with tempfile.TemporaryDirectory(dir=self._home.temporary) as scratch:
            fetched = self._fetch(location, Path(scratch))
            open_version(fetched, manifest_sha256=folder.manifest_sha256)

    def num_bytes(self, version: Version) -> int:
        """Bytes of a version's files, where they lie on this machine."""
        return stored_bytes(self.location(version))

    def forget(self, version: Version) -> None:
        """Delete what was fetched of a version."""
        shutil.rmtree(self._cached(version), ignore_errors=True)

    def remove_model(self, model_id: str) -> None:
        """Delete the files of a stored model, then the model."""
        remove_artifacts(str(self._client.get_logged_model(model_id).artifact_location))
        self._client.delete_logged_model(model_id)

    def _cached(self, version: Version) -> Path:
        return self._home.cache / "versions" / version.model / version.manifest_sha256


def _signature(task: str) -> ModelSignature:
    if task != LANGUAGE_MODELLING.name:
        return ModelSignature(
            inputs=Schema([ColSpec("string", input_column(task))]),
            outputs=Schema([ColSpec(kind, name) for name, kind in ANSWER_COLUMNS.items()]),
        )
    types = {int: "long", float: "double"}
    return ModelSignature(
        inputs=Schema([ColSpec("string", "prompt")]),
        outputs=Schema([ColSpec("string", "text")]),
        params=ParamSchema(
            [ParamSpec(name, types[kind], default) for name, (kind, default) in PARAMETERS.items()]
        ),
    )
