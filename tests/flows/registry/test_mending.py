import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.home.environment import Home
from flows.registry.models import Registry
from flows.registry.promotion import promote
from flows.registry.versions import Version
from flows.steps.begin_run import usable
from flows.steps.run import Run
from lmcore.errors import IntegrityError
from lmcore.mending import mendings
from lmcore.version_folder import WEIGHTS, VersionFolder, open_version

Register = Callable[..., Version]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def folder_of(home: Home) -> Path:
    (found,) = home.mlflow_artifacts.rglob("data/version")
    return found


def test_whatever_is_damaged_in_a_version_is_put_back(
    champion: Version, made: object, home: Home
) -> None:
    run = made.run  # type: ignore[attr-defined]
    assert isinstance(run, Run)
    registry = Registry(run.home)
    folder = registry.open(champion).path
    names = [path for path in folder.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in names}
    told = len(list(mendings(run.home.root)))
    for path in names:
        flip(path)
        assert registry.open(champion).path == folder
    for path in names[:2]:
        path.unlink()
    (folder / "model" / "extra.pkl").write_bytes(b"x")
    assert usable(registry, [champion])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    written = list(mendings(run.home.root))[told:]
    assert len(written) == len(names) + 1
    assert {mending.what for mending in written} == {str(folder)}


def test_what_cannot_be_put_back_is_refused_and_is_no_reason_to_do_nothing(
    home: Home, registry: Registry, register: Register, version_folder: VersionFolder
) -> None:
    version = register()
    weights = folder_of(home) / WEIGHTS
    flip(weights)
    # These weights are nowhere in the content store; what is kept of them is damaged as well.
    kept = home.root / "kept" / "versions" / version.manifest_sha256 / WEIGHTS
    flip(kept)
    with pytest.raises(IntegrityError, match=r"model\.safetensors: .*use another version"):
        registry.open(version)
    assert not usable(registry, [version])
    assert list(mendings(home.root)) == []
    # A sound copy, from wherever it comes, is all it takes.
    kept.write_bytes((version_folder.path / WEIGHTS).read_bytes())
    assert usable(registry, [version])
    promote(registry, "speeches", 1, expected_champion=None, who="ada", reason="first")


def test_what_is_kept_of_a_version_goes_with_it(
    home: Home, registry: Registry, register: Register
) -> None:
    version = register()
    registry.set_alias("speeches", "challenger", None)
    (kept,) = (home.root / "kept" / "versions").iterdir()
    assert json.loads((kept / "manifest.json").read_text())["kind"] == "version"
    registry.deletion.remove(version)
    assert not kept.exists()


def test_a_version_is_what_its_registered_manifest_says(
    home: Home, registry: Registry, register: Register
) -> None:
    version = register()
    manifest = folder_of(home) / "manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**content, "created": "today"}))
    opened = registry.open(version)
    assert open_version(opened.path, manifest_sha256=version.manifest_sha256) == opened


def test_what_mlflow_has_around_a_version_is_put_back_too(
    home: Home, registry: Registry, register: Register
) -> None:
    version = register()
    model = folder_of(home).parents[1]
    around = [p for p in model.rglob("*") if p.is_file() and "version" not in p.parts]
    before = {path: path.read_bytes() for path in around}
    assert len(around) > 5
    for path in around:
        flip(path)
        registry.open(version)
    around[0].unlink()
    registry.open(version)
    assert {path: path.read_bytes() for path in around} == before
    assert len(list(mendings(home.root))) == len(around) + 1
    (model / "code.py").write_text("print()")
    with pytest.raises(IntegrityError, match=r"code\.py: was added"):
        registry.open(version)
