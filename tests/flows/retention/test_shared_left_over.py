"""What goes from a store that two homes share, as a folder and as a real object store."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import object_stores
import pytest

from flows.home.environment import Home, make_home
from flows.registry.models import Registry
from flows.retention import shared_left_over as module
from flows.retention.pruning import prune_registry
from flows.retention.shared_left_over import UNUSED_DAYS, shared_left_over
from lmcore.content_store import Handle
from lmcore.shared_store import SharedStore, SharedStoreError

OLD = (UNUSED_DAYS + 1) * 86_400.0


class Documents(Handle):
    kind = "documents"


class Baseline(Handle):
    kind = "baseline"


@dataclass(frozen=True)
class Team:
    """Homes that share a store, and the folder that its objects are files of."""

    first: Home
    second: Home
    objects: Path

    @property
    def store(self) -> SharedStore:
        found = self.first.shared
        assert found is not None
        return found

    def grow_old(self, *places: str) -> None:
        """Nobody has used these for too long."""
        when = time.time() - OLD
        for place in places:
            for path in (self.objects / place).rglob("*"):
                if path.is_file():
                    os.utime(path, (when, when))
        time.sleep(0.3)  # until the store looks again

    def held(self) -> set[str]:
        time.sleep(0.3)
        files = (path for path in self.objects.rglob("*") if path.is_file())
        return {path.parent.relative_to(self.objects).as_posix() for path in files}


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object_stores.ObjectStore]:
    with object_stores.running(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(params=["folder", "s3"])
def team(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Team:
    address, objects = str(tmp_path / "shared"), tmp_path / "shared"
    if request.param == "s3":
        s3 = request.getfixturevalue("s3")
        for name, value in s3.settings.items():
            monkeypatch.setenv(name, value)
        address, objects = f"s3://{object_stores.BUCKET}/{tmp_path.name}", s3.bucket / tmp_path.name
    homes = (make_home(tmp_path / n, environ={"LMCORE_CONTENT": address}) for n in ("a", "b"))
    return Team(*homes, objects=objects)


def text(folder: Path) -> None:
    (folder / "text").write_text("some text")


def place(handle: Handle) -> str:
    return f"content/{handle.kind}/{handle.key[:32]}"


def gone(team: Team, wanted: set[str], *, dry_run: bool = False) -> set[str]:
    rows = list(shared_left_over(team.first, wanted, dry_run=dry_run))
    assert all(row["bytes"] > 0 for row in rows)
    assert all(row["last_used"] < time.strftime("%Y-%m-%dT") for row in rows)
    return {row["place"] for row in rows}


def test_what_nothing_names_and_nobody_used_goes(team: Team, tmp_path: Path) -> None:
    store = team.first.store
    kept, orphan, young = (store.build(Documents, {"n": n}, text) for n in range(3))
    cache = store.build(Baseline, {"documents": kept.key}, text)
    stale = store.build(Baseline, {"documents": orphan.key}, text)
    made = tmp_path / "made"
    made.mkdir()
    text(made)
    for name in ("work/abandoned", "work/wanted", "sides/1"):
        team.store.publish(name, made)
    team.grow_old("work", "sides", *map(place, (kept, orphan, cache, stale)))
    before = team.held()
    wanted = {kept.key, "wanted"}
    expected = {place(orphan), place(stale), "work/abandoned"}
    assert gone(team, wanted, dry_run=True) == expected
    rule = shared_left_over(team.first, wanted, days=UNUSED_DAYS + 9, dry_run=True)
    assert list(rule) == []
    assert team.held() == before
    assert gone(team, wanted) == expected
    assert team.held() == before - expected
    assert place(young) in team.held()
    assert gone(team, wanted) == set()


def test_what_another_home_uses_stays(team: Team) -> None:
    fetched, built, unused = (team.first.store.build(Documents, {"n": n}, text) for n in range(3))
    team.second.store.build(Documents, {"n": 1}, text)
    team.grow_old("content")
    team.second.store.build(Documents, {"n": 0}, text)  # fetched, as it is missing there
    team.second.store.build(Documents, {"n": 1}, text)  # there already
    time.sleep(0.3)
    assert gone(team, set()) == {place(unused)}
    assert team.held() == {place(fetched), place(built)}


def test_what_went_is_made_again_and_shared_again(team: Team) -> None:
    handle = team.first.store.build(Documents, {"n": 1}, text)
    team.grow_old("content")
    assert gone(team, set()) == {place(handle)}
    again = team.second.store.build(Documents, {"n": 1}, text)
    assert (again.path / "text").read_text() == "some text"
    assert place(again) in team.held()


def test_half_an_upload_goes(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SharedStore._put_content

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SharedStore, "_put_content", killed)
    with pytest.raises(KeyboardInterrupt):
        team.first.store.build(Documents, {"n": 1}, text)
    monkeypatch.setattr(SharedStore, "_put_content", whole)
    (half,) = team.held()
    assert gone(team, set()) == set()
    team.grow_old("content")
    assert gone(team, set()) == {half}


def test_what_is_used_between_the_look_and_the_deletion_stays(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = team.first.store.build(Documents, {"n": 1}, text)
    team.grow_old("content")
    asked = module._is_needed

    def meanwhile(*args: Any) -> bool:
        team.second.store.build(Documents, {"n": 1}, text)
        time.sleep(0.3)
        return asked(*args)

    monkeypatch.setattr(module, "_is_needed", meanwhile)
    assert gone(team, set()) == set()
    assert place(handle) in team.held()


def test_a_home_that_is_alone_has_nothing_to_say(tmp_path: Path) -> None:
    assert list(shared_left_over(make_home(tmp_path / "home"), set(), dry_run=False)) == []


def test_prune_says_it_and_does_it(team: Team, mlflow_template: Path) -> None:
    shutil.copy(mlflow_template, team.first.mlflow_database)
    orphan = team.first.store.build(Documents, {"n": 1}, text)
    team.grow_old("content")
    registry = Registry(team.first)
    told = prune_registry(registry, None, keep=1, dry_run=True)
    assert [row["place"] for row in told["shared"]] == [place(orphan)]
    done = prune_registry(registry, None, keep=1)
    assert {**told, "dry_run": False} == done
    assert done["bytes"] > done["shared"][0]["bytes"] > 0
    assert team.held() == set()


def test_a_store_that_is_away_is_one_sentence(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OSError("no route")

    monkeypatch.setattr("lmcore.shared_store._PAUSES_SECONDS", ())
    monkeypatch.setattr(SharedStore, "_found", away)
    with pytest.raises(SharedStoreError, match="cannot be reached"):
        gone(team, set())
