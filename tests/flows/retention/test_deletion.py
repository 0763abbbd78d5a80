from pathlib import Path

import pytest
from filelock import FileLock

from flows.home.environment import Home, make_home
from flows.retention.deletion import content_folders, content_lock, delete
from lmcore.content_store import ContentStore, Handle


class Documents(Handle):
    kind = "documents"


@pytest.fixture
def bare_home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


def build(home: Home, name: str) -> Documents:
    def make(folder: Path) -> None:
        (folder / "text").write_text(name)

    return ContentStore(home.content).build(Documents, {"name": name}, make)


def test_content_is_listed_with_what_it_was_made_of(bare_home: Home) -> None:
    made = build(bare_home, "letters")
    damaged = bare_home.content / "documents" / "damaged"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{")
    (bare_home.content / "documents" / ".half.partial").mkdir()
    (bare_home.content / "documents" / "file").touch()
    found = dict(content_folders(bare_home))
    assert set(found) == {made.path, damaged}
    assert found[damaged] is None
    manifest = found[made.path]
    assert manifest is not None
    assert (manifest.key, manifest.inputs) == (made.key, {"name": "letters"})


def test_whoever_makes_a_folder_holds_its_lock(bare_home: Home) -> None:
    held: list[bool] = []

    def make(folder: Path) -> None:
        # The unfinished folder, as it is named meanwhile.
        held.append(delete(folder, lock=content_lock(folder)))
        assert folder.exists()

    made = ContentStore(bare_home.content).build(Documents, {}, make)
    assert held == [False]
    unfinished = made.path.with_name(f".{made.path.name}.partial")
    assert content_lock(unfinished) == content_lock(made.path)
    assert delete(made.path, lock=content_lock(made.path))
    assert not made.path.exists()


def test_a_folder_without_a_lock_goes_and_one_that_has_gone_is_no_error(tmp_path: Path) -> None:
    folder = tmp_path / "version-1"
    (folder / "deep").mkdir(parents=True)
    assert delete(folder, lock=None)
    assert not folder.exists()
    assert delete(folder, lock=None)
    assert delete(folder, lock=tmp_path / "lock")


def test_what_somebody_works_in_stays(tmp_path: Path) -> None:
    folder = tmp_path / "points"
    folder.mkdir()
    lock = tmp_path / "points.lock"
    with FileLock(lock):
        assert not delete(folder, lock=lock, wait_seconds=0.05)
        assert folder.exists()
    assert delete(folder, lock=lock)
    assert not folder.exists()
