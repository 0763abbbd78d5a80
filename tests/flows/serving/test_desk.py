"""Which version answers: the alias is followed, and nothing broken takes over."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from flows.registry.models import Registry
from flows.registry.reader import HomeReader
from flows.serving.desk import Desk
from flows.serving.limits import Limits
from flows.serving.loaded import Loaded
from flows.serving.refusal import RefusalError
from lmcore.errors import IntegrityError, NotFoundError, UserError
from lmcore.version_folder import VersionFolder

NAME = "speeches"


@pytest.fixture
def outcomes() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def desk(served_home: Any, outcomes: list[tuple[str, str]]) -> Iterator[Desk]:
    """Open, and looking only when it is told to."""
    made = Desk(
        HomeReader(served_home),
        limits=Limits(lanes=4),
        loads=lambda *told: outcomes.append(told),
    )
    made.look()
    yield made
    made.close(hurry=True)


def number(desk: Desk, asked: str = NAME) -> int:
    return desk.take(asked).version.number


def test_the_alias_is_followed_and_the_old_one_leaves_memory(
    desk: Desk, served_home: Any, go: Any, wait_until: Any
) -> None:
    first = desk.take(NAME)
    engine = first.engine
    assert engine is not None
    model = weakref.ref(engine._model)
    go(served_home, 2, 1)
    assert number(desk) == 1
    desk.look()
    assert number(desk) == 2
    closed = engine._thread
    del first, engine
    wait_until(lambda: not closed.is_alive())
    gc.collect()
    assert model() is None
    go(served_home, 1, 2)
    desk.look()
    assert number(desk) == 1


def test_a_thread_follows_by_itself(served_home: Any, go: Any, wait_until: Any) -> None:
    desk = Desk(HomeReader(served_home), models=[NAME], limits=Limits(lanes=4))
    desk.open()
    try:
        assert desk.ready
        go(served_home, 3, 1)
        wait_until(lambda: number(desk) == 3)
    finally:
        desk.close()


@pytest.fixture
def broken(served_home: Any) -> Iterator[VersionFolder]:
    """Version 2 with other weights than its manifest says; they are put back."""
    registry = Registry(served_home)
    folder = registry.open(registry.version(NAME, 2))
    weights = folder.path / "model" / "model.safetensors"
    saved = weights.read_bytes()
    weights.write_bytes(saved[:-1])
    yield folder
    weights.write_bytes(saved)


def test_a_damaged_version_does_not_take_over(
    desk: Desk, served_home: Any, outcomes: list[tuple[str, str]], broken: VersionFolder
) -> None:
    Registry(served_home).set_alias(NAME, "champion", 2)
    desk.look()
    assert number(desk) == 1
    (problem,) = desk.problems()
    assert "version 2 of speeches is champion and cannot be used" in problem
    assert "version 1 answers" in problem
    assert desk.ready
    assert outcomes == [(NAME, "loaded"), (NAME, "failed")]
    desk.look()  # it is not tried again at once
    assert len(outcomes) == 2
    Registry(served_home).set_alias(NAME, "champion", 3)
    desk.look()
    assert (number(desk), desk.problems()) == (3, [])


def test_a_version_that_draws_from_no_distribution_does_not_take_over(
    desk: Desk, served_home: Any, go: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = VersionFolder.load_model

    def spoilt(folder: VersionFolder, device: str = "cpu") -> Any:
        model = load(folder, device)
        with torch.no_grad():
            model.token_vectors.fill_(torch.nan)
        return model

    go(served_home, 2, 1)
    with monkeypatch.context() as changed:
        changed.setattr(VersionFolder, "load_model", spoilt)
        desk.look()
    assert number(desk) == 1
    assert "draws from no distribution" in desk.problems()[0]


def test_without_the_alias_nothing_answers(desk: Desk, served_home: Any) -> None:
    Registry(served_home).set_alias(NAME, "champion", None)
    desk.look()
    with pytest.raises(
        RefusalError, match="has no champion, as no version of it is in use"
    ) as refused:
        desk.take(NAME)
    assert refused.value.status == 503
    assert not desk.ready


def test_a_version_can_be_asked_for_by_number_and_alias(desk: Desk, served_home: Any) -> None:
    assert number(desk, f"{NAME}:1") == 1
    assert desk.take(f"{NAME}:1") is desk.take(NAME) is desk.take(f"{NAME}@champion")
    assert number(desk, f"{NAME}:2") == 2
    # The newest that passed is the challenger.
    assert number(desk, f"{NAME}@challenger") == 3
    assert desk.take(f"{NAME}:3") is desk.take(f"{NAME}@challenger")
    with pytest.raises(RefusalError) as refused:
        desk.take(f"{NAME}:4")
    assert refused.value.status == 404
    Registry(served_home).set_version_tag(NAME, 2, "quarantined", "it lied")
    with pytest.raises(RefusalError, match="taken out of use"):
        desk.take(f"{NAME}:2")


def test_pinned_versions_make_room_for_each_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.serving.pinned._MOST", 1)
    second = desk.take(f"{NAME}:2")
    assert number(desk, f"{NAME}:3") == 3
    assert second.engine is not None
    second.engine._thread.join(30)
    assert second.engine.closed
    monkeypatch.setattr(Loaded, "busy", property(lambda self: True))
    with pytest.raises(RefusalError) as refused:
        desk.take(f"{NAME}:2")
    assert (refused.value.status, refused.value.retry_after) == (429, 5)


def test_memory_is_returned_once_after_requests_and_not_without(
    served_home: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    returned: list[bool] = []
    load = [0, 0]
    monkeypatch.setattr(Loaded, "load_now", lambda self: tuple(load))
    monkeypatch.setattr("flows.serving.desk.return_free_memory", lambda: returned.append(True))
    monkeypatch.setattr("flows.serving.desk._RETURN_SECONDS", 0.0)
    monkeypatch.setattr("flows.serving.desk._POLL_SECONDS", 0.01)
    desk = Desk(HomeReader(served_home), models=[NAME], limits=Limits(lanes=4))
    polls = itertools.count()
    monkeypatch.setattr(HomeReader, "stamp", lambda self: next(polls))
    desk.open()
    returned.clear()  # what loading freed
    try:
        for asked in range(3):
            seen = next(polls)
            wait_until(lambda seen=seen: next(polls) > seen + 20)
            assert len(returned) == asked
            desk.take(NAME)
            wait_until(lambda asked=asked: len(returned) > asked)
        # A request that takes long, and what is behind it.
        load[0] = 1
        desk.take(NAME)
        wait_until(lambda: len(returned) > 10)
        load[0] = 0
        seen = next(polls)
        wait_until(lambda: next(polls) > seen + 20)
        count = len(returned)
        wait_until(lambda: next(polls) > seen + 40)
        assert len(returned) == count
    finally:
        desk.close()


def test_a_registry_that_is_away_changes_nothing(
    desk: Desk, served_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: object) -> list[str]:
        raise IntegrityError("the disk is gone")

    monkeypatch.setattr(HomeReader, "models", away)
    with pytest.raises(IntegrityError):
        desk.look()
    assert number(desk) == 1


def test_nothing_to_serve_is_said(home: Any, served_home: Any) -> None:
    for of, models, kind, words in (
        (home, [], UserError, "no model has the alias 'champion'"),
        (served_home, ["others"], NotFoundError, "'others' does not exist"),
    ):
        with pytest.raises(kind, match=words):
            Desk(HomeReader(of), models=models, limits=Limits()).open()
    with pytest.raises(NotFoundError, match="no alias 'previous'"):
        Desk(HomeReader(served_home), models=[NAME], alias="previous", limits=Limits()).open()


def test_after_closing_nothing_answers(desk: Desk) -> None:
    desk.close()
    with pytest.raises(RefusalError):
        desk.take(NAME)
