"""Versions of one text have its list and sketches in common, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows.registry.models import Registry
from flows.registry.shared_files import SharedFiles
from flows.registry.versions import Version
from flows.retention.pruning import prune_registry
from lmcore.errors import IntegrityError
from lmcore.version_folder import VersionFolder, open_version

NAME = "speeches"
WEIGHTS = "model/model.safetensors"
TEXT_PARTS = ("documents/000000.parquet", "sketches/000000.parquet")


@pytest.fixture
def three(
    registry: Registry,
    register: Callable[..., Version],
    assemble_in: Callable[..., VersionFolder],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[Path]:
    """Folders of three versions of one text."""
    monkeypatch.setattr("flows.registry.shared_files._LEAST_BYTES", 1)
    for number in (1, 2, 3):
        register(assemble_in(tmp_path, f"v{number}", seed=number), run_key=f"k{number}")
    return [registry.open(version).path for version in registry.versions(NAME)]


def inodes(folders: list[Path], name: str) -> int:
    return len({(folder / name).stat().st_ino for folder in folders})


def test_what_is_of_the_text_is_stored_once_and_weights_are_not(
    registry: Registry, three: list[Path]
) -> None:
    assert {name: inodes(three, name) for name in (*TEXT_PARTS, WEIGHTS)} == {
        **dict.fromkeys(TEXT_PARTS, 1),
        WEIGHTS: 3,
    }
    kept = sorted((registry.home.root / "kept" / "versions").iterdir())
    assert {name: inodes(kept, name) for name in TEXT_PARTS} == dict.fromkeys(TEXT_PARTS, 1)
    # The second copy is another file, or damage to the first would be damage to both.
    assert all(inodes([three[0], kept[0]], name) == 2 for name in TEXT_PARTS)


def test_a_version_that_goes_takes_its_own_bytes_and_the_last_one_all(
    registry: Registry, three: list[Path]
) -> None:
    shared = sum((three[0] / name).stat().st_size for name in TEXT_PARTS)
    pools = [registry.home.root / place / "shared" for place in ("mlflow", "kept")]
    assert [len(list(pool.glob("[!.]*"))) for pool in pools] == [2, 2]
    told = prune_registry(registry, None, keep=1, dry_run=True)
    assert prune_registry(registry, None, keep=1) == {**told, "dry_run": False}
    registry.set_alias(NAME, "challenger", None)
    assert [len(list(pool.glob("[!.]*"))) for pool in pools] == [2, 2]
    assert open_version(three[2]).path == three[2]
    last = prune_registry(registry, None, keep=0, dry_run=True)
    assert prune_registry(registry, None, keep=0) == {**last, "dry_run": False}
    (one, two), (three_,) = told["versions"], last["versions"]
    assert one["bytes"] == two["bytes"] == three_["bytes"] - shared
    assert [list(pool.glob("[!.]*")) for pool in pools] == [[], []]


def test_in_one_go_too_the_bytes_are_counted_once(registry: Registry, three: list[Path]) -> None:
    registry.set_alias(NAME, "challenger", None)
    told = prune_registry(registry, None, keep=0, dry_run=True)
    assert prune_registry(registry, None, keep=0) == {**told, "dry_run": False}


def test_a_damaged_file_becomes_no_other_versions(
    three: list[Path], tmp_path: Path, version_folder: VersionFolder
) -> None:
    shared = SharedFiles(tmp_path / "pool")
    shared.share(three[0], version_folder.manifest.files)
    name = TEXT_PARTS[0]
    pooled = tmp_path / "pool" / version_folder.manifest.files[name][1]
    content = pooled.read_bytes()
    pooled.write_bytes(bytes(len(content)))
    shared.share(version_folder.path, version_folder.manifest.files)
    assert (version_folder.path / name).read_bytes() == pooled.read_bytes() == content
    with pytest.raises(IntegrityError):
        open_version(three[0])
