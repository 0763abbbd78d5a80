"""The files of registered versions: stored as MLflow models, and opened where they are verified.

In: a `VersionFolder`.  Out: the same files as a model that `mlflow.pyfunc` can load too, and beside
them a wheel of the code that loads it.  In the embedded default files are used where they lie; from
a server they are fetched once.
"""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.home.environment import Home
from flows.registry.artifact_files import (
    folder_bytes,
    is_local,
    open_registered,
    path_of,
    registered_manifest,
)
from flows.registry.code_wheel import code_wheel
from flows.registry.mending import VersionKeeper
from flows.registry.mlflow_files import check_files, file_hashes, recorded
from flows.registry.shared_files import Links, SharedFiles
from flows.registry.stored_models import Contents, StoredModels
from flows.registry.versions import Version
from lmcore.errors import IntegrityError
from lmcore.mlmodel import FILE, VERSION_PLACE
from lmcore.tasks.task import LANGUAGE_MODELLING
from lmcore.version_folder import VersionFolder, open_version

if TYPE_CHECKING:
    from mlflow.models import ModelSignature


class VersionFiles:
    """Files of the versions of one registry.

    Args:
        home: A prepared home.
        stored: Where MLflow keeps them.
    """

    def __init__(self, home: Home, stored: StoredModels) -> None:
        self._home, self._stored = home, stored
        self._keeper = VersionKeeper(home)
        self._shared = SharedFiles(home.mlflow_artifacts.parent / "shared")

    def open(self, version: Version, *, whole: bool = True) -> VersionFolder:
        """Verify the files of a version, and those that MLflow has around it, as registered.

        In the embedded default they are used where they lie, and mended where they are damaged and
        the home holds their content elsewhere; from a server they are fetched once.

        Args:
            version: Which one.
            whole: As of `open_version`.

        Raises:
            IntegrityError: If they are missing or differ.
        """
        location, cached = self.location(version), self._cached(version)
        if is_local(location):
            model = path_of(location)
            folder = self._mended(model / VERSION_PLACE, version, whole=whole)
            try:
                check_files(model, version.tags)
            except IntegrityError as error:
                self._keeper.mend_beside(model, recorded(version.tags), str(error))
                check_files(model, version.tags)
            return folder
        # What MLflow itself loads is looked at each time, the rest when the version is fetched.
        beside = {FILE, *(() if cached.exists() else recorded(version.tags))}
        with self._stored.fetched(version.source, sorted(beside)) as model:
            check_files(model, version.tags, only=beside)
        contents = _contents(version.manifest_sha256)
        return open_registered(
            self._stored.folder(version.source, contents, cached=cached), version, whole=whole
        )

    def _mended(self, folder: Path, version: Version, *, whole: bool) -> VersionFolder:
        try:
            return open_registered(folder, version, whole=whole)
        except IntegrityError:
            if not self._keeper.mend(version, folder):
                raise
            return open_registered(folder, version, whole=whole)

    def lineage(self, version: Version) -> Mapping[str, Any]:
        """What the registered manifest says that a version was made of.

        Raises:
            IntegrityError: If the manifest is missing or another one.
        """
        location = self._stored.location(version.source)
        if not is_local(location):
            return self.open(version).lineage()
        return registered_manifest(path_of(location) / VERSION_PLACE, version).inputs

    def location(self, version: Version) -> str:
        """Where MLflow keeps the files of a version."""
        return self._stored.location(version.source)

    def store(
        self, name: str, folder: VersionFolder, *, run_id: str, task: str, example: str
    ) -> tuple[str, dict[str, str]]:
        """Upload a version as an MLflow model and verify what was stored.

        Args:
            name: Registered model.
            folder: The verified version.
            run_id: MLflow run that made it.
            task: Decides the signature.
            example: Input that MLflow shows and tries.

        Returns:
            Its address, `models:/ID`, and the hashes of the files that MLflow has around it.

        Raises:
            IntegrityError: If what was stored differs from the manifest.
        """
        import mlflow
        import pandas as pd

        from lmcore.serving import input_column

        wheel, pretrained = code_wheel(), folder.base() is not None
        hashes: dict[str, str] = {}

        def fill(saved: Path) -> None:
            data = saved.with_name("version")
            shutil.copytree(folder.path, data)
            with warnings.catch_warnings(), _requirements_not_compared():
                warnings.simplefilter("ignore")  # of MLflow about its own defaults
                mlflow.pyfunc.save_model(
                    saved,
                    loader_module="lmcore.serving",
                    data_path=str(data),
                    signature=_signature(task),
                    input_example=pd.DataFrame({input_column(task): [example]}),
                    pip_requirements=wheel.requirements(pretrained=pretrained),
                )
            wheel.write(saved)
            hashes.update(file_hashes(saved))

        source = self._stored.store(
            fill, _contents(folder.manifest_sha256), name=name, run_id=run_id
        )
        location = self._stored.location(source)
        if is_local(location):
            self._shared.share(path_of(location) / VERSION_PLACE, folder.manifest.files)
            self._keeper.keep(folder)
            self._keeper.keep_beside(path_of(location), hashes)
        return source, hashes

    def num_bytes(self, version: Version, leaving: Links | None = None) -> int:
        """Bytes that go with a version's files, where they lie on this machine.

        Args:
            version: Which one.
            leaving: Of versions that would go with it (`SharedFiles.saved_bytes`).
        """
        location = self._stored.location(version.source)
        if not is_local(location):
            return 0
        model = path_of(location)
        return folder_bytes(model) - self._shared.saved_bytes(model / VERSION_PLACE, leaving)

    def forget(self, version: Version) -> None:
        """Delete what was fetched and kept of a version."""
        self._keeper.forget(version)
        self._shared.tidy()
        shutil.rmtree(self._cached(version), ignore_errors=True)

    def _cached(self, version: Version) -> Path:
        return self._home.cache / "versions" / version.model / version.manifest_sha256


def _contents(manifest_sha256: str) -> Contents:
    return Contents(
        place=VERSION_PLACE,
        verify=lambda folder: open_version(folder, manifest_sha256=manifest_sha256),
    )


@contextlib.contextmanager
def _requirements_not_compared() -> Iterator[None]:
    """Inside, MLflow does not compare requirements with what is installed, which they come from.

    It looks through the files of all libraries for that, two seconds long, and has no setting.
    """
    from mlflow.utils import environment as module

    environment: Any = module
    before = environment.warn_dependency_requirement_mismatches
    environment.warn_dependency_requirement_mismatches = lambda requirements: None
    try:
        yield
    finally:
        environment.warn_dependency_requirement_mismatches = before


def _signature(task: str) -> ModelSignature:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema

    from lmcore.serving import ANSWER_COLUMNS, PARAMETERS, input_column

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
