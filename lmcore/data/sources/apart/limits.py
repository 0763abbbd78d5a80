"""How much time and memory the library that reads a file may take, and what is raised beyond."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1 << 20


class UnreadableError(Exception):
    """A file cannot be read; the message is the reason as it is told."""


class LimitError(UnreadableError):
    """Reading a file took more than it may; what came out of it before is not to be trusted.

    How far a reader came in its time is another place on another machine, so all of it goes.
    """


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What reading one file may take.

    Many times what a sound file takes on a slow machine, as a file that is read on one machine and
    set aside on another would make two texts of one.

    Attributes:
        memory_bytes: Address space of the process that reads.
        processor_seconds: Of a file, however small.
        seconds_per_mib: More of them for each MiB that was handed over of it.
        answer_bytes: Of what is told at once: one record, or many short ones.
    """

    memory_bytes: int = 4 << 30
    processor_seconds: int = 300
    seconds_per_mib: int = 20
    answer_bytes: int = 640 << 20

    def seconds(self, num_bytes: int) -> int:
        """Processor seconds that may have been used once so many bytes were handed over."""
        return self.processor_seconds + self.seconds_per_mib * num_bytes // _MIB


LIMITS = Limits()
