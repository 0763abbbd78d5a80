"""What unpacks to absurdly more than a file holds: how much is allowed, and a meter."""

from __future__ import annotations

from collections.abc import Callable

MAX_RATIO = 200
FREE_BYTES = 64 << 20


class BombError(ValueError):
    """A file unpacks to far more than it holds, or its headers are absurd."""


def allowed_bytes(consumed: int) -> int:
    """How much may come out of so many bytes: 64 MiB of any, and 200 times what went in."""
    return max(FREE_BYTES, MAX_RATIO * max(1, consumed))


class Meter:
    """Compares what came out with what went in, over all members of one file."""

    def __init__(self, consumed: Callable[[], int]) -> None:
        self._consumed = consumed
        self._produced = 0

    def add(self, num_bytes: int) -> None:
        """Count bytes that came out.

        Raises:
            BombError: Beyond 64 MiB, when 200 times what went in came out.
        """
        self._produced += num_bytes
        if self._produced > FREE_BYTES and self._produced > allowed_bytes(self._consumed()):
            raise BombError(
                f"unpacks to more than {MAX_RATIO} times its size (stopped after"
                f" {self._produced:,} bytes), as a decompression bomb does"
            )
