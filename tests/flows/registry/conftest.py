"""Four versions to be promoted, and files that are damaged."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.home.environment import Home, make_home
from flows.registry.history import history
from flows.registry.models import Registry
from flows.registry.promotion import Promotion, promote
from flows.registry.versions import Version
from lmcore.version_folder import VersionFolder

Register = Callable[..., Version]
MakeFolder = Callable[..., VersionFolder]
NAME = "speeches"


@pytest.fixture(scope="session")
def four_versions(
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_template: Path,
    register_in: Register,
    assemble_in: MakeFolder,
) -> Home:
    """Three versions of different weights that passed, and a fourth that did not."""
    root = tmp_path_factory.mktemp("four")
    home = make_home(root / "home")
    shutil.copy(mlflow_template, home.mlflow_database)
    registry = Registry(home)
    for number in (1, 2, 3, 4):
        folder = assemble_in(root, f"v{number}", seed=number)
        verdict = "PASS" if number < 4 else "overfitting FAIL"
        register_in(registry, folder, run_key=f"k{number}", passed=number < 4, verdict=verdict)
    return home


@pytest.fixture
def home_of_four(tmp_path: Path, four_versions: Home) -> Home:
    """A home of the test's own, whose database names the files of the shared one."""
    home = make_home(tmp_path / "home")
    shutil.copy(four_versions.mlflow_database, home.mlflow_database)
    shutil.copytree(four_versions.mlflow_artifacts, home.mlflow_artifacts, dirs_exist_ok=True)
    return home


@pytest.fixture
def damage(registry: Registry) -> Iterator[Callable[[int], None]]:
    """Change the weights of a version; they are put back, because tests share the files."""
    saved: dict[Path, bytes] = {}

    def change(number: int) -> None:
        folder = registry.open(registry.version(NAME, number)).path
        weights = folder / "model" / "model.safetensors"
        saved[weights] = weights.read_bytes()
        weights.write_bytes(b"other")

    yield change
    for path, content in saved.items():
        path.write_bytes(content)


@pytest.fixture
def go(registry: Registry) -> Callable[..., Promotion]:
    """Promote a version as ada does; its weights are not loaded, which the tests of serving do."""

    def make(number: int, expected: int | None, **more: Any) -> Promotion:
        details = {"who": "ada", "reason": "better", "smoke": lambda version: None, **more}
        return promote(registry, NAME, number, expected_champion=expected, **details)

    return make


@pytest.fixture
def moves(registry: Registry) -> Callable[[], list[tuple[str, int | None, int | None]]]:
    """What the history has of each event."""
    return lambda: [(e.action, e.from_version, e.to_version) for e in history(registry, NAME)]


@pytest.fixture
def flip() -> Callable[[Path], None]:
    """Change one bit in the middle of a file."""

    def change(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    return change


@pytest.fixture(params=["flipped", "truncated", "removed"])
def spoil(request: pytest.FixtureRequest, flip: Callable[[Path], None]) -> Callable[[Path], None]:
    """Damage a file in one of three ways."""
    ways: dict[str, Callable[[Path], object]] = {
        "flipped": flip,
        "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
        "removed": Path.unlink,
    }

    def change(path: Path) -> None:
        ways[request.param](path)

    return change
