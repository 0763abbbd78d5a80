"""Folders that MLflow keeps as its models: uploaded, verified as they were stored, fetched once.

In: a folder of MLflow's, and the place in it of what is ours.  Out: its address.  Where MLflow's
files are folders of this machine they are used where they lie; from a server they are fetched.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from flows.registry.artifact_files import is_local, path_of, remove_artifacts, stored_bytes
from flows.registry.metric_queue import first_line
from flows.registry.records import Store, StoredRecord
from lmcore.durable import fsync_directory
from lmcore.errors import IntegrityError


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is ours in a folder of MLflow's.

    Attributes:
        place: Where it lies there.
        verify: Raises IntegrityError for a folder that is not what was registered.
    """

    place: str
    verify: Callable[[Path], object]


class StoredModels:
    """Stored models of one registry.

    Args:
        store: Of the registry.
    """

    def __init__(self, store: Store) -> None:
        self._home, self._store = store.home, store
        self._locations: dict[str, str] = {}

    def of_model(self, name: str | None) -> list[StoredRecord]:
        """All that was stored for a registered model; where each lies is not asked for again.

        Args:
            name: Registered model; None: all of them.
        """
        found = self._store.records.stored(name)
        self._locations |= {model.model_id: model.artifact_location for model in found}
        return found

    def location(self, source: str) -> str:
        """Where MLflow keeps the files of an address `models:/ID`.

        Raises:
            IntegrityError: If it does not know.
        """
        identity = source.removeprefix("models:/")
        found = self._locations.get(identity) or self._store.records.location(identity)
        if found is None:
            raise IntegrityError(
                f"{source}: MLflow does not know where these files are; nothing was loaded. Use"
                " another version, or restore the registry from a copy"
            )
        return found

    def num_bytes(self, source: str) -> int:
        """Bytes of the files, where they lie on this machine."""
        return stored_bytes(self.location(source))

    def store(
        self,
        fill: Callable[[Path], object],
        contents: Contents,
        *,
        name: str,
        run_id: str | None = None,
    ) -> str:
        """Upload a folder and verify what was stored.

        Args:
            fill: Makes the folder of MLflow's; beside it is room for what it needs meanwhile.
            contents: What is verified.
            name: Registered model.
            run_id: MLflow run that made it.

        Returns:
            Its address, `models:/ID`.

        Raises:
            IntegrityError: If what was stored differs.
        """
        import mlflow

        from flows.registry.connection import experiment

        # MLflow's store looks models up through the address of the process, not of the client.
        mlflow.set_tracking_uri(self._home.tracking_uri)
        client = self._store.client
        model = client.create_logged_model(
            experiment(self._home, name), name="model", source_run_id=run_id
        )
        try:
            with tempfile.TemporaryDirectory(dir=self._home.temporary) as scratch:
                saved = Path(scratch) / "model"
                fill(saved)
                client.log_model_artifacts(model.model_id, str(saved))
            location = str(model.artifact_location)
            if is_local(location):
                stored = path_of(location) / contents.place
                if not stored.is_dir():
                    raise IntegrityError(f"{stored}: MLflow did not store it")
                contents.verify(stored)
            else:
                with tempfile.TemporaryDirectory(dir=self._home.temporary) as scratch:
                    contents.verify(self._of(location, contents, Path(scratch)))
            client.finalize_logged_model(model.model_id, "READY")
        except BaseException:
            with contextlib.suppress(Exception):
                client.finalize_logged_model(model.model_id, "FAILED")
            raise
        return f"models:/{model.model_id}"

    def folder(self, source: str, contents: Contents, *, cached: Path) -> Path:
        """The files where they lie; from a server they are fetched once, and verified then.

        Raises:
            IntegrityError: If what was fetched differs.
        """
        location = self.location(source)
        if is_local(location):
            return path_of(location) / contents.place
        lock = self._home.locks / f"fetch-{cached.name[:16]}.lock"
        self.fetch(source, contents, target=cached, lock=lock)
        return cached

    @contextlib.contextmanager
    def fetched(self, source: str, names: Iterable[str]) -> Iterator[Path]:
        """Some files of a folder on a server, in a folder that lasts as long as the context.

        Raises:
            IntegrityError: If one is missing.
        """
        from mlflow.exceptions import MlflowException

        location = self.location(source)
        with tempfile.TemporaryDirectory(dir=self._home.temporary) as scratch:
            for name in names:
                target = Path(scratch) / name
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    self._download(f"{location.rstrip('/')}/{name}", target.parent)
                except (MlflowException, OSError) as error:
                    raise IntegrityError(
                        f"{location}/{name}: cannot be fetched ({first_line(error)}); nothing was"
                        " loaded. Use another version, or restore the file"
                    ) from error
            yield Path(scratch)

    def fetch(self, source: str, contents: Contents, *, target: Path, lock: Path) -> None:
        """Bring the files into a folder that does not exist yet; one that does is left alone.

        Raises:
            IntegrityError: If they are not there, or differ; then there is no such folder.
        """
        with FileLock(lock):
            if target.exists():
                return
            target.parent.mkdir(parents=True, exist_ok=True)
            location = self.location(source)
            with tempfile.TemporaryDirectory(
                dir=target.parent, prefix=".fetched-", suffix=".partial"
            ) as scratch:
                if is_local(location):
                    stored, fetched = path_of(location) / contents.place, Path(scratch) / "fetched"
                    contents.verify(stored)
                    shutil.copytree(stored, fetched)
                else:
                    fetched = self._of(location, contents, Path(scratch))
                contents.verify(fetched)
                fetched.rename(target)
            fsync_directory(target.parent)

    def _of(self, location: str, contents: Contents, scratch: Path) -> Path:
        # By its address: to MLflow `models:/ID/folder` is version `folder` of a model named ID.
        return self._download(f"{location.rstrip('/')}/{contents.place}", scratch)

    def _download(self, address: str, folder: Path) -> Path:
        from mlflow.artifacts import download_artifacts

        from flows.registry.patient_client import patient_call

        download = functools.partial(
            download_artifacts,
            artifact_uri=address,
            dst_path=str(folder),
            tracking_uri=self._home.tracking_uri,
        )
        return Path(patient_call(self._store.client, download))

    def remove(self, model_id: str) -> None:
        """Delete the files of a stored model, then the model."""
        client = self._store.client
        remove_artifacts(str(client.get_logged_model(model_id).artifact_location))
        client.delete_logged_model(model_id)
        self._locations.pop(model_id, None)
