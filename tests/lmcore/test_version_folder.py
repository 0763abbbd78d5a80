import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.artifacts import Manifest
from lmcore.errors import IntegrityError
from lmcore.version_assembly import VersionParts, assemble_version
from lmcore.version_folder import VersionFolder, open_version

Assemble = Callable[..., VersionFolder]


class Bomb:
    """Unpickled, it leaves a marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    folder = tmp_path / "parts"
    for name in ("best", "tokenizer", "evaluation"):
        (folder / name).mkdir(parents=True)
    (folder / "best" / "model.safetensors").write_bytes(b"weights")
    (folder / "best" / "model.json").write_text("{}")
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    (folder / "tokenizer" / "manifest.json").write_text("of the step that made it")
    (folder / "evaluation" / "scores-validation.parquet").write_bytes(b"PAR1")
    return folder


@pytest.fixture
def assemble(tmp_path: Path, parts: Path) -> Assemble:
    def make(**changes: object) -> VersionFolder:
        row = {
            **{"id": "a" * 64, "name": "Bücher/1.txt", "source": 0, "license": "CC0-1.0"},
            **{"origin": "here", "num_bytes": 6, "split": "train", "cluster": "a" * 64},
            **{"date": None, "anchor": True, "text": "SECRET TEXT", "target": "SECRET LABEL"},
        }
        details: dict[str, object] = {
            "best": parts / "best",
            "tokenizer": parts / "tokenizer",
            "evaluation": parts / "evaluation",
            "documents": (row for _ in range(3)),
            "sources": [{"origin": "here"}],
            "config": "name: x\n",
            "report": "<!doctype html>",
            "card": "# x",
            "lineage": {"data": "d", "plan": {"steps": 1}},
        }
        return assemble_version(tmp_path / "version", VersionParts(**{**details, **changes}))  # type: ignore[arg-type]

    return make


def test_a_version_holds_everything_and_no_text(assemble: Assemble) -> None:
    version = assemble(summary={"model": "x"})
    assert sorted(version.manifest.files) == [
        *("README.md", "config.yaml", "documents.parquet", "evaluation/scores-validation.parquet"),
        *("lineage.json", "model/model.json", "model/model.safetensors", "report.html"),
        *("sketches.parquet", "sources.json", "tokenizer/tokenizer.json"),
    ]
    assert version.manifest.summary == {"model": "x"}
    assert version.lineage() == {"data": "d", "plan": {"steps": 1}}
    assert version.sources() == [{"origin": "here"}]
    assert (version.config, version.card) == ("name: x\n", "# x")
    rows = list(version.documents())
    assert len(rows) == 3
    assert rows[0]["name"] == "Bücher/1.txt"
    assert rows[0]["anchor"] is True
    assert not {"text", "target"} & set(rows[0])
    for path in version.path.rglob("*"):
        assert path.is_dir() or b"SECRET" not in path.read_bytes()


def test_assembling_again_replaces_the_version(assemble: Assemble) -> None:
    first = assemble()
    (first.path / "README.md").write_text("tampered")
    assert assemble(card="# y").card == "# y"


def test_a_failure_leaves_no_version(assemble: Assemble, tmp_path: Path, parts: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        assemble(lineage={"data": float("nan")})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts"]


@pytest.mark.parametrize(
    "name",
    [
        *("best/model.pt", "best/python_model.pkl", "best/model", "tokenizer/vocab.pickle"),
        *("tokenizer/tokenizer.py", "evaluation/x.npy", "best/deep.skops", "best/a.JSON"),
    ],
)
def test_a_pickle_in_any_disguise_is_refused(
    assemble: Assemble, parts: Path, tmp_path: Path, name: str
) -> None:
    marker = tmp_path / "marker"
    (parts / name).write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(IntegrityError, match="this format has no place in a version"):
        assemble()
    assert not (tmp_path / "version").exists()
    assert not marker.exists()


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
    assemble: Assemble, parts: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    (parts / "best" / "model.safetensors").write_bytes(pickle.dumps(Bomb(marker)))
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


def test_a_link_to_elsewhere_is_refused(assemble: Assemble, tmp_path: Path, parts: Path) -> None:
    (parts / "evaluation" / "gates.json").symlink_to(parts / "best" / "model.json")
    with pytest.raises(IntegrityError, match=r"gates\.json: the file is missing"):
        assemble()


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
