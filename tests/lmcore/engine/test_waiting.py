"""What stands between who asks and who answers: order, rows, and who is woken."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from lmcore.engine.ask import Ask, BusyError, ClosedError
from lmcore.engine.lanes import Lane
from lmcore.engine.waiting import Waiting
from lmcore.model.sampling import GenerationConfig

NOTHING: Any = None


def an_ask(*, seconds: float = float("inf")) -> Ask:
    return Ask(
        prompt=[],
        before="",
        config=GenerationConfig(),
        deliver=lambda piece: None,
        deadline=time.monotonic() + seconds,
    )


def waiting(count: int, *, rows: int = 4, most: int = 100) -> tuple[Waiting, list[Ask]]:
    made, asks = Waiting(most=most, rows=rows), [an_ask() for _ in range(count)]
    for ask in asks:
        made.put(ask)
    return made, asks


def later(call: Any, found: list[Any]) -> threading.Thread:
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    return thread


def test_they_are_taken_in_their_order_and_no_more_than_there_are_rows() -> None:
    queue, asks = waiting(3, rows=2)
    assert [queue.take(wait=False) for _ in range(3)] == [asks[0], asks[1], None]
    assert (queue.load().running, queue.load().waiting) == (2, 1)
    found: list[Any] = []
    thread = later(lambda: queue.take(wait=True), found)
    assert not found
    queue.done()
    thread.join(30)
    assert found == [asks[2]]


def test_who_draws_is_woken_by_a_lane_and_who_reads_by_a_request() -> None:
    queue, (ask,) = waiting(1)
    assert queue.rest(reads=True)
    found: list[Any] = []
    thread = later(lambda: queue.rest(reads=False), found)
    assert queue.take(wait=True) is ask
    assert not found
    lane = Lane(ask, NOTHING, NOTHING, NOTHING)
    queue.hand(lane)
    thread.join(30)
    assert found == [True]
    assert (queue.read(), queue.read()) == ([lane], [])


def test_closed_it_ends_with_the_last_one_that_was_taken() -> None:
    queue, (ask,) = waiting(1)
    assert queue.take(wait=True) is ask
    queue.close(hurry=False)
    with pytest.raises(ClosedError):
        queue.put(an_ask())
    assert queue.take(wait=True) is None
    found: list[Any] = []
    thread = later(lambda: queue.rest(reads=False), found)
    assert not found
    queue.done()
    thread.join(30)
    assert found == [False]


def test_in_a_hurry_nothing_more_is_taken_and_those_that_wait_are_to_be_told() -> None:
    queue, asks = waiting(2)
    queue.close(hurry=True)
    assert queue.take(wait=True) is None
    assert queue.rest(reads=False)
    assert queue.clear() == asks
    assert not queue.rest(reads=False)


def test_who_went_away_or_took_too_long_is_taken_out() -> None:
    queue, (first, second) = waiting(2)
    late = an_ask(seconds=-1)
    queue.put(late)
    first.cancel()
    assert queue.over(time.monotonic()) == [(first, "cancelled"), (late, "late")]
    assert queue.clear() == [second]
    assert queue.load().waiting == 0


def test_too_many_are_refused_but_for_those_that_nobody_waits_for() -> None:
    queue, (first, _) = waiting(2, most=2)
    with pytest.raises(BusyError, match="2 requests wait already"):
        queue.put(an_ask())
    first.cancel()
    queue.put(an_ask())
