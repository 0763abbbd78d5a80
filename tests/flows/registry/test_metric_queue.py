import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from flows.registry import metric_queue
from flows.registry.metric_queue import MetricQueue, Point


class Store:
    """Takes points, or refuses them while it is away."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.away = False
        self.gate = threading.Event()
        self.gate.set()

    def send(self, points: Sequence[Point]) -> None:
        assert self.gate.wait(timeout=60)
        if self.away:
            raise OSError("the store is away\nwith details")
        self.points.extend(points)


def points(*steps: int) -> list[Point]:
    return [Point("loss", float(step), 1000 + step, step) for step in steps]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "metrics" / "run.json"


def test_points_are_sent_in_order_and_in_batches(store: Store, spool: Path) -> None:
    sizes: list[int] = []

    def send(some: Sequence[Point]) -> None:
        sizes.append(len(some))
        store.send(some)

    queue = MetricQueue(send, spool=spool, batch=2)
    queue.put(points(1, 2, 3))
    assert queue.flush(timeout=60)
    assert (store.points, sizes, len(queue)) == (points(1, 2, 3), [2, 1], 0)
    assert not spool.exists()
    queue.close()


def test_what_waits_survives_a_kill_and_is_sent_by_the_next_process(
    store: Store, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.away = True
    killed = MetricQueue(store.send, spool=spool)
    killed.put(points(1, 2))
    assert not killed.flush(timeout=60)
    assert killed.error == "the store is away"
    assert "metrics wait for MLflow: the store is away" in caplog.text
    killed.close()
    store.away = False
    following = MetricQueue(store.send, spool=spool)
    assert following.waiting() == points(1, 2)
    following.put(points(3))
    assert following.flush(timeout=60)
    assert store.points == points(1, 2, 3)
    assert not spool.exists()
    following.close()


def test_a_store_that_is_back_gets_everything_without_being_asked(
    store: Store, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metric_queue, "_RETRY_SECONDS", 0.01)
    store.away = True
    queue = MetricQueue(store.send, spool=spool)
    queue.put(points(1))
    assert not queue.flush(timeout=60)
    store.away = False
    while len(queue):
        threading.Event().wait(0.01)
    assert store.points == points(1)
    queue.close()


def test_nobody_waits_for_a_store_that_hangs(store: Store, spool: Path) -> None:
    store.gate.clear()
    queue = MetricQueue(store.send, spool=spool)
    queue.put(points(1))
    assert not queue.flush()  # at once
    queue.put(points(2))
    assert not queue.flush(timeout=0.05)
    assert json.loads(spool.read_text()) == [list(point) for point in points(1, 2)]
    store.gate.set()
    assert queue.flush(timeout=60)
    assert store.points == points(1, 2)
    queue.close()


def test_a_batch_that_arrived_is_not_sent_again(store: Store, spool: Path) -> None:
    calls = 0

    def second_fails(some: Sequence[Point]) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError("away")
        store.send(some)

    queue = MetricQueue(second_fails, spool=spool, batch=1)
    queue.put(points(1, 2))
    assert not queue.flush(timeout=60)
    assert queue.waiting() == points(2)
    assert json.loads(spool.read_text()) == [list(point) for point in points(2)]
    assert queue.flush(timeout=60)
    assert store.points == points(1, 2)
    queue.close()


def test_a_full_disk_and_a_broken_spool_do_not_stop_training(
    store: Store, spool: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spool.parent.mkdir()
    spool.write_text("{broken")
    store.away = True
    queue = MetricQueue(store.send, spool=spool)
    assert "some metrics are missing" in caplog.text

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metric_queue, "atomic_write", full)
    queue.put(points(1))
    assert not queue.flush(timeout=60)
    assert "No space left on device" in caplog.text
    store.away = False
    assert queue.flush(timeout=60)
    assert store.points == points(1)
    queue.close()
