"""Two homes and one training: the second goes on where the first was killed."""

import shutil
from pathlib import Path

import pytest

from lmcore.shared_points import SharedResumePoints
from lmcore.shared_store import SharedStore, SharedStoreError
from lmcore.training.events import TrainingEvent

KEY = "0" * 32


def home_with(folder: Path, step: int) -> Path:
    point = folder / KEY / "points" / f"step-{step:010d}"
    point.mkdir(parents=True)
    (point / "manifest.json").write_text(f"point {step}")
    (folder / KEY / "plan.json").write_text(f"plan of {folder.name}")
    (folder / KEY / "stop").write_text("of this machine alone")
    return folder / KEY


def saved(step: int) -> TrainingEvent:
    return TrainingEvent(kind="checkpoint", step=step, steps=9)


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def store(tmp_path: Path) -> SharedStore:
    return SharedStore(str(tmp_path / "shared"))


def test_another_home_goes_on_with_plan_and_points(tmp_path: Path, store: SharedStore) -> None:
    first, told = home_with(tmp_path / "a", 3), []
    SharedResumePoints(store).attend(first, told.append)(saved(3))
    assert told == [saved(3)]
    second = tmp_path / "b" / KEY
    second.parent.mkdir()
    SharedResumePoints(store).fetch(second)
    assert names(second) == ["plan.json", "points/step-0000000003/manifest.json"]
    assert (second / "plan.json").read_text() == "plan of a"
    assert list(second.parent.iterdir()) == [second]


def test_what_is_further_here_stays(tmp_path: Path, store: SharedStore) -> None:
    SharedResumePoints(store).attend(home_with(tmp_path / "a", 3), None)(saved(3))
    further = home_with(tmp_path / "b", 4)
    SharedResumePoints(store).fetch(further)
    assert (further / "plan.json").read_text() == "plan of b"
    behind = home_with(tmp_path / "c", 2)
    SharedResumePoints(store).fetch(behind)
    assert (behind / "plan.json").read_text() == "plan of a"
    assert not (behind / "points" / "step-0000000002").exists()


def test_publishing_takes_a_tenth_of_the_time_and_the_last_point_is_always_there(
    tmp_path: Path, store: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("lmcore.shared_points.time.monotonic", lambda: clock[0])
    publish = store.publish

    def slowly(*arguments: object, **options: object) -> None:
        publish(*arguments, **options)  # type: ignore[arg-type]
        clock[0] += 2.0

    monkeypatch.setattr(store, "publish", slowly)
    points = SharedResumePoints(store)
    folder = home_with(tmp_path / "a", 1)
    tell = points.attend(folder, None)
    tell(saved(1))

    def shared() -> str:
        place = store.holds(f"work/{KEY}")
        assert place is not None
        return max(place)

    for step, seconds, newest in ((2, 17.0, 1), (3, 1.5, 3), (4, 0.0, 3)):
        clock[0] += seconds
        shutil.rmtree(folder.parent)
        home_with(tmp_path / "a", step)
        tell(saved(step))
        assert shared() == f"points/step-{newest:010d}/manifest.json"
    points.stopped(folder)
    assert shared() == "points/step-0000000004/manifest.json"


def test_a_store_that_is_away_stops_no_training_but_no_training_begins_without_it(
    tmp_path: Path,
    store: SharedStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def away(*_: object, **__: object) -> None:
        raise SharedStoreError("it is away")

    monkeypatch.setattr(store, "publish", away)
    monkeypatch.setattr(store, "holds", away)
    points = SharedResumePoints(store)
    folder = home_with(tmp_path / "a", 1)
    points.attend(folder, None)(saved(1))
    assert "no other home can go on with this training yet: it is away" in caplog.text
    with pytest.raises(SharedStoreError):
        points.fetch(folder)


def test_a_training_that_is_done_leaves_nothing(tmp_path: Path, store: SharedStore) -> None:
    points = SharedResumePoints(store)
    folder = home_with(tmp_path / "a", 1)
    points.attend(folder, None)(saved(1))
    points.forget(folder)
    assert store.holds(f"work/{KEY}") is None
    shutil.rmtree(folder)
    points.fetch(folder)
    assert not folder.exists()
