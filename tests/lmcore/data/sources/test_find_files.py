from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.config import SourceConfig
from lmcore.data.sources.find_files import find_files, left_out, matches, printable
from lmcore.data.sources.kinds import has_no_text


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a.txt", "*.txt", True),
        ("sub/deep/a.txt", "*.txt", True),
        ("sub/deep/a.txt", "sub/*.txt", False),
        ("sub/deep/a.txt", "sub/**/*.txt", True),
        ("sub/a.txt", "sub/**/*.txt", True),
        ("xsub/a.txt", "sub/*.txt", False),
        ("a.txt", "[ab].txt", True),
        ("c.txt", "[!ab].txt", True),
        ("a.txt\n", "*.txt", False),
        ("a+b.txt", "a+b.txt", True),
        ("ab.txt", "a?.txt", True),
    ],
)
def test_globs_match_the_end_of_a_path(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected


# What file names are made of: folders, dots, endings, archives.
_NAMES = st.lists(st.sampled_from(["b", ".", "..", "/", "README", "PNG", "gz"]), max_size=8)


@settings(deadline=None)
@given(_NAMES.map("".join))
def test_a_name_is_taken_apart_as_the_library_does(name: str) -> None:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") for part in parts)
    assert (left_out(name, None) == "hidden") is hidden
    plain = name.removesuffix(".gz")
    if not plain.endswith(("/", "/.")):  # no file
        assert has_no_text(name) is (PurePosixPath(plain).suffix.lower() == ".png")


def test_names_are_printable_text() -> None:
    assert printable("a\udcffb\n\x1b.txt") == "a\\udcffb\\n\\x1b.txt"
    assert printable("日本語.txt") == "日本語.txt"


def found(path: str) -> tuple[list[str], list[str]]:
    files, _, skipped = find_files(SourceConfig(path=path), key="sources[0]")
    return [name for name, _ in files], sorted(left.file for left in skipped)


@pytest.fixture
def tangled(tmp_path: Path) -> Path:
    """Two texts, and links that lead back to where they stand."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "sub/b.txt").write_text("b")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/c.txt").write_text("c")
    for place in (tmp_path, tmp_path / "sub"):
        (place / "one").symlink_to(".")
        (place / "two").symlink_to(tmp_path)
    return tmp_path


def test_linked_folders_are_read_once_and_named(tangled: Path) -> None:
    names, skipped = found(str(tangled))
    assert names == ["a.txt", "sub/b.txt"]
    assert skipped == [".hidden/c.txt", "one/", "sub/one/", "sub/two/", "two/"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*.txt", ["a.txt", "sub/b.txt"]),
        ("**", ["a.txt", "sub/b.txt"]),
        ("*/**/*.txt", ["b.txt"]),
        ("**/b.*", ["b.txt"]),
        (".*/**/*.txt", ["c.txt"]),
        ("*.txt", ["a.txt"]),
    ],
)
def test_a_pattern_over_links_that_lead_back_ends(
    tangled: Path, pattern: str, expected: list[str]
) -> None:
    assert found(f"{tangled}/{pattern}") == (expected, [])
