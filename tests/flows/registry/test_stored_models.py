"""Folders that MLflow keeps: verified as they were stored, and fetched whole or not at all."""

from pathlib import Path

import pytest

from flows.home.environment import Home
from flows.registry.connection import connect
from flows.registry.records import Store
from flows.registry.stored_models import Contents, StoredModels
from lmcore.errors import IntegrityError


@pytest.fixture
def models(home: Home) -> StoredModels:
    return StoredModels(Store(home))


def fill(saved: Path) -> None:
    (saved / "data").mkdir(parents=True)
    (saved / "data" / "file").write_text("content")


def verify(folder: Path) -> None:
    if (folder / "file").read_text() != "content":
        raise IntegrityError("differs")


CONTENTS = Contents(place="data", verify=verify)


def test_what_is_stored_lies_where_it_says(models: StoredModels, tmp_path: Path) -> None:
    source = models.store(fill, CONTENTS, name="speeches")
    folder = models.folder(source, CONTENTS, cached=tmp_path / "never")
    assert (folder / "file").read_text() == "content"
    assert not (tmp_path / "never").exists()
    assert models.num_bytes(source) == len("content")
    models.remove(source.removeprefix("models:/"))
    assert not folder.exists()


def test_what_does_not_verify_is_not_stored(models: StoredModels, home: Home) -> None:
    def never(folder: Path) -> None:
        raise IntegrityError(f"{folder.name} differs")

    with pytest.raises(IntegrityError, match="data differs"):
        models.store(fill, Contents(place="data", verify=never), name="speeches")
    with pytest.raises(IntegrityError, match="MLflow did not store it"):
        models.store(fill, Contents(place="elsewhere", verify=verify), name="speeches")
    experiment = connect(home).get_experiment_by_name("speeches")
    assert experiment is not None
    found = connect(home).search_logged_models(experiment_ids=[experiment.experiment_id])
    assert {str(model.status) for model in found} == {"FAILED"}


def test_it_is_fetched_once_whole_or_not_at_all(models: StoredModels, tmp_path: Path) -> None:
    source = models.store(fill, CONTENTS, name="speeches")
    target = tmp_path / "content" / "key"
    lock = tmp_path / "lock"
    models.fetch(source, CONTENTS, target=target, lock=lock)
    assert (target / "file").read_text() == "content"
    (target / "file").write_text("kept")
    models.fetch(source, CONTENTS, target=target, lock=lock)
    assert (target / "file").read_text() == "kept"
    stored = models.folder(source, CONTENTS, cached=tmp_path)
    (stored / "file").write_text("damaged")
    other = tmp_path / "content" / "other"
    with pytest.raises(IntegrityError, match="differs"):
        models.fetch(source, CONTENTS, target=other, lock=lock)
    assert [path.name for path in target.parent.iterdir()] == ["key"]
