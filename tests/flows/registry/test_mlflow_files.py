"""What MLflow keeps around a version is registered too, and nothing else is loaded from there."""

import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow.pyfunc
import pytest
import yaml

from flows.home.environment import Home
from flows.registry.mlflow_files import TAG, file_hashes, recorded
from flows.registry.models import Registry
from flows.registry.reader import HomeReader
from flows.registry.versions import Version
from lmcore.digests import sha256_file
from lmcore.errors import IntegrityError

Register = Callable[..., Version]
Load = Callable[[Home, str], mlflow.pyfunc.PyFuncModel]
NAME = "speeches"


@pytest.fixture
def model(home: Home, registry: Registry, register: Register) -> Path:
    """MLflow's folder of a version that was registered just now, and is kept nowhere else."""
    register()
    shutil.rmtree(home.root / "kept")
    (found,) = home.mlflow_artifacts.rglob("MLmodel")
    return found.parent


def opened(home: Home, registry: Registry) -> list[str]:
    """What every way to a version says; nothing where it is opened."""
    said = []
    for door in (registry, HomeReader(home)):
        try:
            door.open(door.version(NAME, 1))
        except IntegrityError as error:
            said.append(str(error))
    return said


def test_the_files_around_a_version_are_its_tag(model: Path, registry: Registry) -> None:
    hashes = recorded(registry.version(NAME, 1).tags)
    assert hashes == file_hashes(model)
    assert {"MLmodel", "requirements.txt", "conda.yaml"} <= set(hashes)
    assert sum(name.startswith("wheels/") for name in hashes) == 2
    assert not any(name.startswith("data/") for name in hashes)
    assert hashes["MLmodel"] == sha256_file(model / "MLmodel")


@pytest.mark.parametrize(
    "name", ["MLmodel", "requirements.txt", "conda.yaml", "wheels/added.whl", "code/lmcore.py"]
)
def test_one_that_is_changed_or_added_is_refused_in_every_way(
    home: Home, model: Path, registry: Registry, name: str
) -> None:
    assert opened(home, registry) == []
    (model / name).parent.mkdir(exist_ok=True)
    with (model / name).open("a") as file:
        file.write("\n")
    said = opened(home, registry)
    assert len(said) == 2
    assert all(str(model / name) in sentence for sentence in said)
    assert all("nothing was loaded" in sentence for sentence in said)


def test_one_that_is_missing_is_refused(home: Home, model: Path, registry: Registry) -> None:
    (model / "requirements.txt").unlink()
    assert all("requirements.txt: is missing" in said for said in opened(home, registry))
    assert len(opened(home, registry)) == 2


def test_a_version_of_an_earlier_release_may_name_our_loader_and_no_other_one(
    home: Home, model: Path, registry: Registry
) -> None:
    registry.clear_version_tag(NAME, 1, TAG)
    (model / "requirements.txt").write_text("other\n")
    assert opened(home, registry) == []
    described = yaml.safe_load((model / "MLmodel").read_text())
    described["flavors"]["python_function"] |= {"loader_module": "foreign", "code": "code"}
    (model / "MLmodel").write_text(yaml.safe_dump(described))
    assert len(opened(home, registry)) == 2


def test_what_mlflow_writes_by_loading_is_no_change(
    home: Home, model: Path, registry: Registry, load_with_mlflow: Load
) -> None:
    registry.set_alias(NAME, "champion", 1)
    load_with_mlflow(home, f"models:/{NAME}@champion")
    assert opened(home, registry) == []


def test_the_loader_refuses_a_folder_to_which_code_was_added(
    home: Home, model: Path, registry: Registry, load_with_mlflow: Load
) -> None:
    registry.set_alias(NAME, "champion", 1)
    described = yaml.safe_load((model / "MLmodel").read_text())
    described["flavors"]["python_function"]["code"] = "code"
    (model / "MLmodel").write_text(yaml.safe_dump(described))
    (model / "code").mkdir()
    with pytest.raises(IntegrityError, match="code is 'code', which makes MLflow run other code"):
        load_with_mlflow(home, f"models:/{NAME}@champion")
