import os
import shutil
from pathlib import Path

import pytest

from flows.registry.artifact_files import (
    freed_bytes,
    is_local,
    path_of,
    remove_artifacts,
    stored_bytes,
)
from flows.registry.shared_files import Links

ELSEWHERE = "s3-of-nobody://bucket/1/artifacts"


@pytest.mark.parametrize(
    ("location", "local"),
    [
        ("/home/mlflow/artifacts", True),
        ("file:///home/mlflow/artifacts", True),
        ("mlflow-artifacts:/1/abc", False),
        ("http://server/api", False),
        (ELSEWHERE, False),
    ],
)
def test_what_lies_on_this_machine(location: str, local: bool) -> None:
    assert is_local(location) is local


def test_an_address_and_a_path_name_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "h o m ë 100%20"
    assert path_of(folder.as_uri()) == folder
    assert path_of(str(folder)) == folder


def test_bytes_of_all_files_are_added_and_folders_weigh_nothing(tmp_path: Path) -> None:
    (tmp_path / "model" / "data").mkdir(parents=True)
    (tmp_path / "model" / "data" / "weights").write_bytes(b"x" * 100)
    (tmp_path / "report.html").write_bytes(b"x" * 23)
    assert stored_bytes(tmp_path.as_uri()) == stored_bytes(str(tmp_path)) == 123
    assert stored_bytes(str(tmp_path / "nowhere")) == 0
    assert stored_bytes(ELSEWHERE) == 0


def test_what_others_link_to_is_not_free_before_they_go_too(tmp_path: Path) -> None:
    for name, size in (("one", 10), ("two", 200)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own").write_bytes(b"x" * size)
    (tmp_path / "one" / "both").write_bytes(b"x" * 3_000)
    os.link(tmp_path / "one" / "both", tmp_path / "two" / "both")
    (tmp_path / "one" / "symbolic").symlink_to(tmp_path / "two" / "own")
    assert [freed_bytes(tmp_path / name) for name in ("one", "two")] == [10, 200]
    assert freed_bytes(tmp_path) == 3_210
    leaving = Links()
    assert [freed_bytes(tmp_path / name, leaving) for name in ("one", "two")] == [10, 3_200]
    shutil.rmtree(tmp_path / "one")
    assert freed_bytes(tmp_path / "two") == 3_200
    assert freed_bytes(tmp_path / "two" / "own") == 200
    assert freed_bytes(tmp_path / "gone") == 0
    (tmp_path / "elsewhere").symlink_to(tmp_path / "two")
    assert freed_bytes(tmp_path / "elsewhere") == 0


def test_files_are_removed_and_a_second_call_finds_nothing_to_do(tmp_path: Path) -> None:
    gone, kept = tmp_path / "gone", tmp_path / "kept"
    for folder in (gone, kept):
        folder.mkdir()
        (folder / "file").touch()
    for _ in range(2):
        remove_artifacts(gone.as_uri())
        assert not gone.exists()
    assert (kept / "file").exists()


def test_files_that_cannot_be_reached_are_named(caplog: pytest.LogCaptureFixture) -> None:
    remove_artifacts(ELSEWHERE)
    assert f"files at {ELSEWHERE} are still there: " in caplog.text
