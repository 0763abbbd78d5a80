"""Walking a folder whose links lead everywhere."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.sources.walk import walk


def _make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def names(folder: Path) -> list[str]:
    return [name for name, _ in walk(folder).files]


def test_a_linked_folder_is_read_as_if_it_lay_there(tmp_path: Path) -> None:
    _make(tmp_path, "texts/a.txt", "disk/b.txt", "disk/deep/c.txt")
    (tmp_path / "texts/more").symlink_to(tmp_path / "disk")
    found = walk(tmp_path / "texts")
    assert [name for name, _ in found.files] == ["a.txt", "more/b.txt", "more/deep/c.txt"]
    assert [path.read_text() for _, path in found.files] == [
        "texts/a.txt",
        "disk/b.txt",
        "disk/deep/c.txt",
    ]
    assert found.again == []


def test_what_two_ways_lead_to_is_read_once_and_the_other_is_named(tmp_path: Path) -> None:
    _make(tmp_path, "texts/real/a.txt", "disk/b.txt")
    (tmp_path / "texts/a-link").symlink_to("real")
    (tmp_path / "texts/link-1").symlink_to(tmp_path / "disk")
    (tmp_path / "texts/link-2").symlink_to(tmp_path / "disk")
    found = walk(tmp_path / "texts")
    assert [name for name, _ in found.files] == ["link-1/b.txt", "real/a.txt"]
    assert found.again == ["a-link", "link-2"]


def test_a_link_that_leads_back_ends(tmp_path: Path) -> None:
    _make(tmp_path, "texts/sub/a.txt", "outside.txt")
    (tmp_path / "texts/sub/loop").symlink_to(tmp_path / "texts")
    (tmp_path / "texts/sub/self").symlink_to(".")
    (tmp_path / "texts/up").symlink_to("..")
    (tmp_path / "texts/root").symlink_to("/")
    found = walk(tmp_path / "texts")
    assert [name for name, _ in found.files] == ["sub/a.txt"]
    assert found.again == ["root", "sub/loop", "sub/self", "up"]


def test_a_folder_inside_a_linked_one_may_be_read_already(tmp_path: Path) -> None:
    _make(tmp_path, "all/2023/a.txt", "all/2024/b.txt", "texts/c.txt")
    (tmp_path / "texts/1-this-year").symlink_to(tmp_path / "all/2024")
    (tmp_path / "texts/2-all").symlink_to(tmp_path / "all")
    found = walk(tmp_path / "texts")
    assert [name for name, _ in found.files] == [
        "1-this-year/b.txt",
        "2-all/2023/a.txt",
        "c.txt",
    ]
    assert found.again == ["2-all/2024"]


def test_a_link_to_nothing_and_a_linked_file_are_files(tmp_path: Path) -> None:
    _make(tmp_path, "texts/a.txt", "b.txt")
    (tmp_path / "texts/gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "texts/b.txt").symlink_to(tmp_path / "b.txt")
    assert names(tmp_path / "texts") == ["a.txt", "b.txt", "gone"]


def test_what_python_left_is_no_text(tmp_path: Path) -> None:
    _make(tmp_path, "a.py", "__pycache__/a.pyc")
    assert names(tmp_path) == ["a.py"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_any_tangle_of_links_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[int, int]]
) -> None:
    root = tmp_path_factory.mktemp("tangle")
    for i in range(6):
        _make(root, f"{'/'.join(str(j) for j in range(i + 1))}/file-{i}.txt")
    folders = [root.joinpath(*(str(j) for j in range(i + 1))) for i in range(6)]
    for number, (place, target) in enumerate(links):
        (folders[place] / f"link-{number}").symlink_to(folders[target])
    found = walk(root)
    assert sorted(path.name for _, path in found.files) == [f"file-{i}.txt" for i in range(6)]
    assert len(found.again) == len(links)
