"""Metrics on their way to the store: sent by a thread, so that training never waits for a server.

In: points, and a function that sends them.  Out: each point in the store once, in order.

Where the store is away the points stay here and are tried again; they are also written to a file
beside the training's state, so that a process that is killed during the outage loses none: the
next process of the same run sends what it finds there.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from lmcore.durable import atomic_write

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0


class Point(NamedTuple):
    """One value of one metric; a second attempt sends it with the same time."""

    key: str
    value: float
    milliseconds: int
    step: int


class MetricQueue:
    """Points in order, a thread that sends them, and a file for those that wait."""

    def __init__(
        self, send: Callable[[Sequence[Point]], None], *, spool: Path, batch: int = 1000
    ) -> None:
        """Take up what an earlier process of the same run could not send.

        Args:
            send: Sends some points or raises; asked again, it must store none of them twice.
            spool: File for points that wait; it exists only while some do.
            batch: Points that one call of `send` takes at most.
        """
        self._send, self._spool, self._batch = send, spool, batch
        self._condition = threading.Condition()
        self._pending: list[Point] = _read(spool)
        self._asked = 0  # flushes that were asked for
        self._tried = 0  # and the last of them that was tried
        self._closed = False
        self._thread: threading.Thread | None = None
        self.error: str | None = None

    def __len__(self) -> int:
        """Points that are not in the store yet."""
        with self._condition:
            return len(self._pending)

    def waiting(self) -> list[Point]:
        """The points that are not in the store yet."""
        with self._condition:
            return list(self._pending)

    def put(self, points: Sequence[Point]) -> None:
        """Add points; they are sent with the next flush."""
        with self._condition:
            self._pending.extend(points)

    def flush(self, *, timeout: float = 0.0) -> bool:
        """Send what is here now; wait at most `timeout` seconds for that.

        Returns:
            Whether everything is in the store.  What is not is in the spool file.
        """
        with self._condition:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="metrics", daemon=True)
                self._thread.start()
            self._asked += 1
            mine = self._asked
            self._condition.notify_all()
            if timeout <= 0:
                return not self._pending
            self._condition.wait_for(lambda: self._tried >= mine, timeout=timeout)
            if self._pending:
                self._save()
            return not self._pending

    def close(self) -> None:
        """Let the thread end; what waits stays in the spool file."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _work(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(
                    lambda: self._closed or self._asked > self._tried,
                    timeout=_RETRY_SECONDS if self.error else None,
                )
                if self._closed:
                    return
                asked, points = self._asked, list(self._pending)
            self._try(points)
            with self._condition:
                self._tried = asked
                self._condition.notify_all()

    def _try(self, points: list[Point]) -> None:
        try:
            while points:
                some, points = points[: self._batch], points[self._batch :]
                self._send(some)
                with self._condition:
                    del self._pending[: len(some)]
        except Exception as error:  # whatever the store's driver raises
            with self._condition:
                again, self.error = self.error is not None, first_line(error)
                self._save()
            if not again:  # once an outage
                logger.warning("metrics wait for MLflow: %s", self.error)
        else:
            with self._condition:
                self.error = None
                if not self._pending:
                    self._spool.unlink(missing_ok=True)

    def _save(self) -> None:
        # Losing the spool loses points only if the process dies as well; training goes on.
        try:
            self._spool.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(self._spool, json.dumps(self._pending))
        except OSError as error:
            logger.warning("metrics that wait cannot be saved: %s", first_line(error))


def now_milliseconds() -> int:
    """The time as MLflow counts it."""
    return int(time.time() * 1000)


def first_line(error: BaseException) -> str:
    """The first line of an error's text, for a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _read(spool: Path) -> list[Point]:
    try:
        rows = json.loads(spool.read_text(encoding="utf-8"))
        return [Point(str(k), float(v), int(at), int(step)) for k, v, at, step in rows]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        logger.warning("%s: cannot be read, so some metrics are missing (%s)", spool, error)
        return []
