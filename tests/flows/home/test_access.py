import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.home import access
from flows.home.access import as_the_user, described, enter, private
from flows.home.folders import make_home
from lmcore.durable import atomic_write
from lmcore.mending import note_mending, set_aside


@pytest.fixture(autouse=True)
def usual_umask(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(access, "_users_umask", None)
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(root: Path) -> dict[str, int]:
    paths = (root, *root.rglob("*"))
    return {str(p.relative_to(root)): stat.S_IMODE(p.stat().st_mode) for p in paths}


def test_a_new_home_is_its_owners_alone(tmp_path: Path) -> None:
    home = make_home(tmp_path / "new" / "home")
    assert {oct(mode & 0o077) for mode in modes(home.root).values()} == {"0o0"}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o755  # not ours to close
    enter(home.root)
    atomic_write(home.root / "file", "x")
    assert modes(home.root)["file"] == 0o600
    assert "its owner alone" in described(home.root)


def test_a_home_that_others_could_read_is_closed_with_all_that_is_in_it(tmp_path: Path) -> None:
    root = tmp_path / "home"
    (root / "mlflow").mkdir(parents=True)
    (root / "mlflow" / "mlflow.db").write_text("x")
    (tmp_path / "texts").write_text("outside")
    (root / "work").symlink_to(tmp_path / "texts")
    assert private(root) == 0o077
    assert modes(root) == {".": 0o700, "mlflow": 0o700, "mlflow/mlflow.db": 0o600, "work": 0o644}
    assert stat.S_IMODE((tmp_path / "texts").stat().st_mode) == 0o644


def test_a_folder_that_is_no_home_is_left_as_it_is(tmp_path: Path) -> None:
    root = tmp_path / "projects"
    root.mkdir()
    (root / "notes.txt").write_text("of somebody else")
    (root / "locks").mkdir()
    assert private(root) == 0o077
    assert modes(root) == {".": 0o755, "notes.txt": 0o644, "locks": 0o700}
    assert "open to all" in described(root)


def test_all_that_lies_in_a_home_is_known(tmp_path: Path) -> None:
    home = make_home(tmp_path / "home")
    places = (home.splits, home.dashboard, home.mlflow_database, home.removals)
    for path in places:
        path.write_text("x")
    # As where something was found damaged.
    note_mending(home.root, home.splits, problem="x", remedy=str(set_aside(home.root, home.splits)))
    home.root.chmod(0o755)
    private(home.root)
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("mode", "then", "umask", "told"),
    [
        (0o750, 0o750, 0o027, "may read it"),
        (0o2770, 0o2770, 0o007, "may read and write it"),
        (0o2775, 0o2770, 0o007, "may read and write it"),
        (0o777, 0o700, 0o077, "its owner alone"),
    ],
)
def test_what_a_group_was_given_stays_and_what_all_were_given_does_not(
    tmp_path: Path, mode: int, then: int, umask: int, told: str
) -> None:
    root = tmp_path / "home"
    root.mkdir()
    root.chmod(mode)
    assert private(root) == umask
    assert stat.S_IMODE(root.stat().st_mode) == then
    assert told in described(root)
    enter(root)
    atomic_write(root / "file", "x")
    assert modes(root)["file"] == 0o666 & ~umask


def test_what_is_written_for_the_user_is_as_the_user_wants_it(tmp_path: Path) -> None:
    atomic_write(tmp_path / "before", "x")
    enter(tmp_path / "home")
    with as_the_user():
        atomic_write(tmp_path / "inside", "x")
    atomic_write(tmp_path / "after", "x")
    found = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.iterdir() if p.is_file()}
    assert found == {"before": 0o644, "inside": 0o644, "after": 0o600}
