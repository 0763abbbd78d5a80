"""Requests on their way to a row: those that wait, and those whose prompt is read.

In: requests, from any thread.  Out: one after the other in their order to who reads their prompts;
then their lanes to who draws.  No more are taken than there are rows.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from lmcore.counted import counted, named
from lmcore.engine.ask import Ask, BusyError, ClosedError, End
from lmcore.engine.lanes import Lane


@dataclass(frozen=True, kw_only=True)
class Load:
    """How busy an engine is.

    Attributes:
        running: Requests that have a row, or will have one when their prompt is read.
        waiting: Requests that wait for that.
    """

    running: int
    waiting: int


class Waiting:
    """What stands between who asks and who answers.

    Args:
        most: Requests that may wait.
        rows: Requests that may be taken at once.

    Attributes:
        hurry: Whether all that are taken are to end now, as cancelled.
    """

    def __init__(self, *, most: int, rows: int) -> None:
        self._most, self._free, self._rows = most, rows, rows
        self._asks: deque[Ask] = deque()
        self._lanes: list[Lane] = []
        self._news = threading.Condition()
        self._closing = False
        self.hurry = False

    # -- for who asks ----------------------------------------------------------------------------

    def put(self, ask: Ask) -> None:
        """Add one.

        Raises:
            BusyError: If too many wait.
            ClosedError: If no more are taken.
        """
        with self._news:
            if self._closing:
                raise ClosedError("this version is not in use any more")
            if len(self._asks) >= self._most:
                now = time.monotonic()
                # Those that nobody waits for any more leave at the next token.
                waiting = sum(other.over(now) is None for other in self._asks)
                if waiting >= self._most:
                    raise BusyError(
                        f"{counted(waiting, 'request')} {named(waiting, 'waits', 'wait')} already"
                    )
            self._asks.append(ask)
            self._news.notify_all()

    def close(self, *, hurry: bool) -> None:
        """Take no more."""
        with self._news:
            self._closing, self.hurry = True, self.hurry or hurry
            self._news.notify_all()

    def load(self) -> Load:
        """How many there are."""
        with self._news:
            return Load(running=self._rows - self._free, waiting=len(self._asks))

    # -- for who reads ---------------------------------------------------------------------------

    def take(self, *, wait: bool) -> Ask | None:
        """The request that waits longest; a row is kept for it until it is `done`.

        Args:
            wait: Until there is one and a row for it; then None means that none will come.
        """
        with self._news:
            while not (self._asks and self._free) or self.hurry:
                if not wait or self.hurry or (self._closing and not self._asks):
                    return None
                self._news.wait()
            self._free -= 1
            return self._asks.popleft()

    def hand(self, lane: Lane) -> None:
        """Its prompt is read."""
        with self._news:
            self._lanes.append(lane)
            self._news.notify_all()

    def done(self) -> None:
        """One that was taken is over."""
        with self._news:
            self._free += 1
            self._news.notify_all()

    # -- for who draws ---------------------------------------------------------------------------

    def rest(self, *, reads: bool) -> bool:
        """Wait until a lane may join; False when none will.

        Args:
            reads: Whether who draws reads prompts, too.
        """
        with self._news:
            while not (self._lanes or (reads and self._asks)):
                if self._closing and not self._asks and self._free == self._rows:
                    return False
                if self.hurry and self._asks:
                    return True  # to be told
                self._news.wait()
        return True

    def read(self) -> list[Lane]:
        """Take out the lanes that may join."""
        with self._news:
            found, self._lanes = self._lanes, []
        return found

    def over(self, now: float) -> list[tuple[Ask, End]]:
        """Take out those that nobody waits for, or that took too long, and say which."""
        with self._news:
            ends = [(ask, ask.over(now)) for ask in self._asks]
            found = [(ask, end) for ask, end in ends if end]
            if found:
                self._asks = deque(ask for ask, end in ends if not end)
                self._news.notify_all()
        return found

    def clear(self) -> list[Ask]:
        """Take out all that were not taken."""
        with self._news:
            found = list(self._asks)
            self._asks.clear()
            self._news.notify_all()
        return found
