import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.home.environment import Home, make_home
from flows.registry.models import Registry
from flows.registry.versions import Version
from lmcore.version_folder import VersionFolder

Register = Callable[..., Version]


@pytest.mark.parametrize("copied", [False, True])
def test_a_home_that_was_moved_or_copied_keeps_its_versions_to_itself(
    home: Home,
    registry: Registry,
    register: Register,
    register_in: Register,
    tmp_path: Path,
    version_folder: VersionFolder,
    load_with_mlflow: Callable[..., object],
    copied: bool,
) -> None:
    register()
    other = tmp_path / "another place"
    (shutil.copytree if copied else shutil.move)(home.root, other)
    moved = Registry(make_home(other))
    folder = moved.open(moved.version("speeches", 1))
    assert folder.path.is_relative_to(other)
    before = sorted(home.root.rglob("*"))
    second = register_in(moved, version_folder, run_key="b")
    assert moved.open(second).path.is_relative_to(other)
    assert sorted(home.root.rglob("*")) == before
    load_with_mlflow(moved.home, "models:/speeches/1")
