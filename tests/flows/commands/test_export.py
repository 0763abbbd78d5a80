"""`lmcore export`: a folder that is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from lmcore.errors import UserError
from lmcore.version_export import export_version
from lmcore.version_folder import VersionFolder


def test_nothing_is_overwritten_and_nothing_is_left(
    tmp_path: Path, version_folder: VersionFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "out"
    files = export_version(version_folder, out)
    expected = {"config.json", "model.safetensors", "tokenizer.json", "modeling_lmcore.py"}
    assert {*expected, "README.md"} <= set(files)
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    with pytest.raises(UserError, match="is there already"):
        export_version(version_folder, out)
    (tmp_path / "file").write_text("x")
    for taken in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError):
            export_version(version_folder, taken)
    assert (tmp_path / "file").read_text() == "x"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert export_version(version_folder, empty) == files
    monkeypatch.setattr("lmcore.version_export._write_tokenizer", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_version(version_folder, tmp_path / "broken")
    assert not (tmp_path / "broken").exists()
    assert not list(tmp_path.glob(".export-*"))
