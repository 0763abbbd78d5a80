"""Versions that requests name themselves: kept in the order of asking, with room for few."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from flows.registry.versions import Version
from flows.serving.loaded import Loaded
from flows.serving.pinned import Pinned
from flows.serving.refusal import RefusalError
from lmcore.errors import IntegrityError


class Fake:
    """What is seen of a loaded version here."""

    def __init__(self, version: Version) -> None:
        self.version, self.busy, self.closed = version, False, False

    def close(self, *, wait: bool) -> None:
        assert not wait
        self.closed = True


def version(number: int, *, quarantined: str = "") -> Version:
    return cast(
        "Version", SimpleNamespace(model="speeches", number=number, quarantined=quarantined)
    )


def load(found: Version) -> Loaded:
    if found.number == 9:
        raise IntegrityError("its weights are damaged")
    return cast("Loaded", Fake(found))


@pytest.fixture
def pinned() -> Pinned:
    return Pinned(load)


def take(pinned: Pinned, number: int) -> Any:
    return pinned.take(version(number))


def refused(pinned: Pinned, one: Version) -> tuple[int, int | None]:
    with pytest.raises(RefusalError) as error:
        pinned.take(one)
    return error.value.status, error.value.retry_after


def test_a_version_is_loaded_once(pinned: Pinned) -> None:
    assert take(pinned, 1) is take(pinned, 1)
    assert [one.version.number for one in pinned.loaded()] == [1]


def test_the_one_that_was_asked_for_longest_ago_makes_room(pinned: Pinned) -> None:
    first, second = take(pinned, 1), take(pinned, 2)
    assert take(pinned, 1) is first
    third = take(pinned, 3)
    assert (first.closed, second.closed) == (False, True)
    assert pinned.loaded() == [first, third]


def test_one_that_answers_stays_and_the_next_goes(pinned: Pinned) -> None:
    first, second = take(pinned, 1), take(pinned, 2)
    first.busy = True
    take(pinned, 3)
    assert (first.closed, second.closed) == (False, True)
    take(pinned, 3).busy = True
    assert refused(pinned, version(4)) == (429, 5)
    assert take(pinned, 1) is first


def test_what_was_taken_out_of_use_or_is_damaged_is_refused(pinned: Pinned) -> None:
    kept = take(pinned, 1)
    assert refused(pinned, version(1, quarantined="it lied"))[0] == 404
    assert refused(pinned, version(9)) == (503, 60)
    assert pinned.loaded() == [kept]


def test_who_is_forgotten_is_left_to_the_caller(pinned: Pinned) -> None:
    kept = take(pinned, 1)
    assert pinned.forget() == [kept]
    assert not kept.closed
    assert take(pinned, 1) is not kept
