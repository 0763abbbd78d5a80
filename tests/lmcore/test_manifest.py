"""Manifests: every file is listed, and any damage is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lmcore.errors import IntegrityError
from lmcore.manifest import Manifest, open_verified


def write_note(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "note.txt").write_text("hello")
    Manifest.write(folder, kind="note", inputs={"text": "hello"})
    return folder


def test_a_manifest_lists_size_and_hash_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc")
    manifest = Manifest.write(tmp_path, kind="note", inputs={})
    # SHA-256 of "abc": FIPS 180-2, appendix B.1.
    assert manifest.files == {
        "a.txt": (3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }
    assert Manifest.read(tmp_path) == manifest


@pytest.mark.parametrize("damage", ["changed", "removed", "added"])
def test_a_file_of_that_name_in_a_folder_below_is_content(tmp_path: Path, damage: str) -> None:
    inner = tmp_path / "sub" / "manifest.json"
    inner.parent.mkdir()
    inner.write_text("{}")
    if damage == "added":
        inner = tmp_path / "other" / "manifest.json"
    Manifest.write(tmp_path, kind="note", inputs={})
    assert set(open_verified(tmp_path).files) == {"sub/manifest.json"}
    if damage == "removed":
        inner.unlink()
    else:
        inner.parent.mkdir(exist_ok=True)
        inner.write_text("[]")
    with pytest.raises(IntegrityError, match=str(inner)):
        open_verified(tmp_path)


def damage_flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def damage_truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def damage_replace_by_link(path: Path) -> None:
    copy = path.parents[2] / "copy.txt"
    path.rename(copy)
    path.symlink_to(copy)


def damage_add(path: Path) -> None:
    (path.parent / "extra.pkl").write_bytes(b"x")


@pytest.mark.parametrize(
    "damage",
    [damage_flip, damage_truncate, Path.unlink, damage_replace_by_link, damage_add],
)
def test_any_damage_is_named_and_nothing_is_loaded(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = write_note(tmp_path / "store")
    damage(folder / "sub" / "note.txt")
    with pytest.raises(IntegrityError, match=r"note\.txt|extra\.pkl"):
        open_verified(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kind": "note"}', "\x00"])
def test_a_broken_manifest_is_an_integrity_error(tmp_path: Path, content: str) -> None:
    folder = write_note(tmp_path / "store")
    (folder / "manifest.json").write_text(content)
    with pytest.raises(IntegrityError, match="manifest"):
        open_verified(folder)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = write_note(tmp_path / "store")
    with pytest.raises(IntegrityError, match="'note' where 'letter'"):
        open_verified(folder, kind="letter")
