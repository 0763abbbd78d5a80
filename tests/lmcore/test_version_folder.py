from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.errors import IntegrityError, UserError
from lmcore.manifest import Manifest
from lmcore.version_folder import VersionFolder, open_version

Assemble = Callable[..., VersionFolder]


@pytest.mark.parametrize("name", ["model/python_model.pkl", "code/x.json", "x.py", "model.pth"])
def test_a_file_slipped_in_with_a_new_manifest_is_refused(assemble: Assemble, name: str) -> None:
    version = assemble()
    path = version.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\x80\x04N.")
    with pytest.raises(IntegrityError, match="not listed in the manifest"):
        open_version(version.path)
    Manifest.write(version.path, kind="version", inputs={})
    with pytest.raises(IntegrityError, match="no place in a version"):
        open_version(version.path)


def test_a_pickle_named_safetensors_is_not_loaded(
    assemble: Assemble, parts: Path, bomb: bytes, marker: Path
) -> None:
    (parts / "best" / "model.safetensors").write_bytes(bomb)
    version = assemble()
    with pytest.raises(IntegrityError, match="nothing was loaded"):
        version.load_model()
    assert not marker.exists()


@pytest.mark.parametrize("name", ["model/model.safetensors", "README.md", "lineage.json"])
def test_a_version_lacking_a_file_is_refused(assemble: Assemble, name: str) -> None:
    version = assemble()
    (version.path / name).unlink()
    Manifest.write(version.path, kind="version", inputs={})
    with pytest.raises(IntegrityError, match=f"{name} is missing from the version"):
        open_version(version.path)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    Manifest.write(tmp_path, kind="documents", inputs={})
    with pytest.raises(IntegrityError, match="'documents' where 'version' is expected"):
        open_version(tmp_path)


def test_only_the_registered_manifest_opens(assemble: Assemble) -> None:
    version = assemble()
    assert open_version(version.path, manifest_sha256=version.manifest_sha256) == version
    with pytest.raises(IntegrityError, match="not the manifest that was registered"):
        open_version(version.path, manifest_sha256="0" * 64)


def test_a_manifest_that_points_outside_is_refused(assemble: Assemble) -> None:
    version = assemble()
    manifest = version.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace("README.md", "../../etc/README.md"))
    with pytest.raises(IntegrityError):
        open_version(version.path)


def test_a_version_masks_what_its_training_text_was_masked_of(
    assemble: Assemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "ann@example.org, 22 83 12 34"
    version = assemble()

    def masked(config: str) -> str:
        monkeypatch.setattr(VersionFolder, "config", config)
        return version.load_masking().apply(text)

    assert masked("") == masked("data: {unit: line}") == "<EMAIL>, 22 83 12 34"
    assert masked("data: {pii: keep}") == text
    assert masked("data: {phone_regions: [NO]}") == "<EMAIL>, <PHONE>"
    with pytest.raises(UserError, match=r"cannot without the model that finds them: data\.names"):
        masked("data: {names: /no/such/folder}")
    for broken in ("data: {pii: sometimes}", "data: [1]", "- 1", "data: {"):
        with pytest.raises(IntegrityError, match="does not say what is masked"):
            masked(broken)


def test_parts_that_grow_with_the_text_are_verified_when_they_are_read(
    assemble: Assemble,
) -> None:
    version = assemble()
    light = open_version(version.path, whole=False)
    assert list(light.documents()) == list(version.documents())
    assert list(light.sketches()) == list(version.sketches())
    for read in ("documents", "sketches"):
        part = f"{read}/000000.parquet"
        path = version.path / part
        content = path.read_bytes()
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        light = open_version(version.path, whole=False)
        with pytest.raises(IntegrityError, match=f"{part}: its sha256 differs"):
            list(getattr(light, read)())
        with pytest.raises(IntegrityError, match=f"{part}: its sha256 differs"):
            open_version(version.path)
        path.write_bytes(content + b"more")
        with pytest.raises(IntegrityError, match=f"{part}: .* bytes where the manifest says"):
            open_version(version.path, whole=False)
        path.write_bytes(content)
    weights = version.path / "model" / "model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    with pytest.raises(IntegrityError, match="its sha256 differs"):
        open_version(version.path, whole=False)


def test_a_version_of_before_has_one_file_of_each(assemble: Assemble) -> None:
    version = assemble()
    rows, sketches = list(version.documents()), list(version.sketches())
    for kind in ("documents", "sketches"):
        (version.path / kind / "000000.parquet").rename(version.path / f"{kind}.parquet")
        (version.path / kind).rmdir()
    old = rewritten(version)
    assert list(old.documents()) == rows
    assert list(old.sketches()) == sketches
    (version.path / "sketches.parquet").unlink()
    assert list(rewritten(version).sketches()) == []
    (version.path / "documents.parquet").unlink()
    with pytest.raises(IntegrityError, match="documents is missing from the version"):
        rewritten(version)


def rewritten(version: VersionFolder) -> VersionFolder:
    """With a manifest of what is there now."""
    (version.path / "manifest.json").unlink()
    Manifest.write(version.path, kind="version", inputs={}, summary=None)
    return open_version(version.path)
