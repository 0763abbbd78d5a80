"""What homes used, by the clock of a folder and of a real object store on loopback."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import object_stores
import pytest

from lmcore.shared_store import SharedStore
from lmcore.shared_usage import Stored, usage

DAY = 86_400.0


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object_stores.ObjectStore]:
    with object_stores.running(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(params=["folder", "s3"])
def shared(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[SharedStore, Path]:
    """A store, and the folder that its objects are files of."""
    if request.param == "folder":
        return SharedStore(str(tmp_path / "shared")), tmp_path / "shared"
    s3 = request.getfixturevalue("s3")
    for name, value in s3.settings.items():
        monkeypatch.setenv(name, value)
    name = tmp_path.name
    return SharedStore(f"s3://{object_stores.BUCKET}/{name}"), s3.bucket / name


def grow_old(objects: Path, *, days: float) -> float:
    """Make all that lies there so old; returns the moment."""
    when = time.time() - days * DAY
    for path in objects.rglob("*"):
        if path.is_file():
            os.utime(path, (when, when))
    time.sleep(0.3)  # until the store looks again
    return when


def test_each_use_counts(shared: tuple[SharedStore, Path], tmp_path: Path) -> None:
    store, objects = shared
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "text").write_text("some text")
    assert usage(store, "content") == []
    for number in range(3):
        store.publish(f"content/documents/{number}", folder)
    now = time.time()
    assert [s.last_used for s in usage(store, "content")] == pytest.approx([now] * 3, abs=60)
    when = grow_old(objects, days=50)
    old = usage(store, "content")
    assert [s.place for s in old] == [f"content/documents/{number}" for number in range(3)]
    assert [s.last_used for s in old] == pytest.approx([when] * 3, abs=2)
    lying = sum(p.stat().st_size for p in (objects / "content/documents/1").iterdir())
    assert old[1].num_bytes == lying > len("some text")
    store.publish("content/documents/0", folder)
    assert store.fetch("content/documents/2", tmp_path / "come")
    time.sleep(0.3)
    assert usage(store, "content")[0].place == "content/documents/1"
    assert [s.last_used for s in usage(store, "content")][1:] == pytest.approx([now] * 2, abs=60)
    assert [s.name for s in usage(store, "content/documents/1")] == ["1"]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"mtime": 86_400.5}, 86_400.5),
        ({"LastModified": datetime(1970, 1, 2, tzinfo=UTC)}, 86_400.0),
        ({"mtime": datetime(1970, 1, 2, tzinfo=UTC)}, 86_400.0),
        ({"last_modified": "1970-01-02T00:00:00+00:00"}, 86_400.0),
    ],
)
def test_each_library_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], seconds: float
) -> None:
    store = SharedStore(str(tmp_path))
    monkeypatch.setattr(store, "objects", lambda _: {"documents/1/used": {"size": 5, **told}})
    assert usage(store, "content") == [
        Stored(place="content/documents/1", num_bytes=5, last_used=seconds)
    ]


def test_what_a_store_does_not_date_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SharedStore(str(tmp_path))
    monkeypatch.setattr(store, "objects", lambda _: {"1/used": {"size": None}})
    (found,) = usage(store, "work")
    assert found.last_used == pytest.approx(time.time(), abs=60)
