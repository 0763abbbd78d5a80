"""A version is put together whole or not at all, without text and without code."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lmcore import version_assembly
from lmcore.errors import IntegrityError
from lmcore.version_folder import VersionFolder, open_version

Assemble = Callable[..., VersionFolder]


def test_a_version_holds_everything_and_no_text(assemble: Assemble) -> None:
    version = assemble(summary={"model": "x"})
    assert sorted(version.manifest.files) == [
        *("README.md", "config.yaml", "documents/000000.parquet"),
        *("evaluation/scores-validation.parquet", "lineage.json", "model/model.json"),
        *("model/model.safetensors", "report.html", "sketches/000000.parquet", "sources.json"),
        "tokenizer/tokenizer.json",
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
    assemble: Assemble, parts: Path, tmp_path: Path, bomb: bytes, marker: Path, name: str
) -> None:
    (parts / name).write_bytes(bomb)
    with pytest.raises(IntegrityError, match="this format has no place in a version"):
        assemble()
    assert not (tmp_path / "version").exists()
    assert not marker.exists()


def test_a_link_to_elsewhere_is_refused(assemble: Assemble, tmp_path: Path, parts: Path) -> None:
    (parts / "evaluation" / "gates.json").symlink_to(parts / "best" / "model.json")
    with pytest.raises(IntegrityError, match=r"gates\.json: the file is missing"):
        assemble()


def test_what_it_was_made_of_is_in_the_manifest(assemble: Assemble) -> None:
    version = assemble()
    assert version.manifest.kind == "version"
    assert version.manifest.inputs == {"data": "d", "plan": {"steps": 1}}
    assert open_version(version.path) == version
    # The manifests of the steps that made the parts stay behind.
    assert [path.parent for path in version.path.rglob("manifest.json")] == [version.path]


def test_rows_are_written_in_parts_and_none_is_lost(
    assemble: Assemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_assembly, "_ROWS_A_FILE", 3)
    for count in (0, 2, 3, 7, 99):
        version = assemble(
            documents=({"id": f"{i:064x}", "num_bytes": i} for i in range(count)),
            sketches=((f"{i:064x}", bytes([i])) for i in range(count)),
        )
        rows = list(version.documents())
        assert [(row["id"], row["num_bytes"]) for row in rows] == [
            (f"{i:064x}", i) for i in range(count)
        ]
        # A column that a document lacks is there and empty.
        assert all(row["license"] is None for row in rows)
        assert list(version.sketches()) == [(f"{i:064x}", bytes([i])) for i in range(count)]
        for kind in ("documents", "sketches"):
            files = sorted((version.path / kind).iterdir())
            sizes = [pq.ParquetFile(path).metadata.num_rows for path in files]
            assert max(sizes) <= 4 * 3
            assert count < 99 or len(sizes) > 99 / 12


@pytest.mark.parametrize("place", [0, 500, 1000])
def test_rows_that_come_or_go_change_the_files_beside_them_alone(
    assemble: Assemble, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(version_assembly, "_ROWS_A_FILE", 16)

    def hashes(rows: list[int]) -> dict[str, set[str]]:
        files = assemble(
            documents=({"id": f"{i:064x}", "num_bytes": i} for i in rows),
            sketches=((f"{i:064x}", i.to_bytes(2, "big")) for i in rows),
        ).manifest.files
        return {
            kind: {sha256 for name, (_, sha256) in files.items() if name.startswith(f"{kind}/")}
            for kind in ("documents", "sketches")
        }

    before = list(range(1000))
    first = hashes(before)
    more = hashes([*before[:place], *range(5000, 5010), *before[place:]])
    fewer = hashes([*before[: place - 5], *before[place:]] if place else before[5:])
    for kind, parts in first.items():
        assert len(parts) > 40
        # Ten rows make a cut now and then.
        assert len(more[kind] - parts) <= 3
        assert len(fewer[kind] - parts) <= 2


def test_canaries_are_a_file_of_a_version_that_was_trained_with_them(assemble: Assemble) -> None:
    assert "canaries.json" not in assemble().manifest.files
    version = assemble(canaries={"pairs": [], "key": "é"})
    assert json.loads((version.path / "canaries.json").read_text("utf-8")) == {
        "key": "é",
        "pairs": [],
    }


def test_what_a_crash_left_behind_is_no_part_of_the_next_version(
    assemble: Assemble, tmp_path: Path
) -> None:
    partial = tmp_path / ".version.partial"
    partial.mkdir()
    (partial / "left.json").write_text("{}")
    version = assemble()
    assert "left.json" not in version.manifest.files
    assert not partial.exists()


def test_a_failure_leaves_the_version_that_was_there(assemble: Assemble, tmp_path: Path) -> None:
    before = assemble(card="# first")

    def broken():
        yield {"id": "a"}
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        assemble(card="# second", documents=broken())
    assert open_version(before.path).card == "# first"
    assert not (tmp_path / ".version.partial").exists()
