"""What a process is doing: its step, how far that is, and how long the rest takes.

In: the steps to come with their seconds of the last time, and counts while they go.  Out: a
`Snapshot`, which every display reads.  A process has one job; whoever has something to tell asks
for it (`current`), and nothing is shown where nobody opened a display.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

#: A pace is told when so many seconds have shown it.
_PACE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A moment of a job.

    Attributes:
        name: Of the command or flow.
        model: That it works on; empty: on none.
        stage: What the steps are part of, where they come several times.
        step: In progress; empty between steps.
        number: Of the step, from 1; 0 where the steps to come are not known.
        steps: Number of them.
        later: Names of the steps after this one.
        part: Of the step.
        done: Of the part, in `unit`.
        total: How many there are; None: not known.
        unit: What is counted.
        note: Further numbers, in words.
        loss_nats: Of a training step; None: nothing is trained.
        seconds: That the step has taken so far; between steps, the job.
        per_second: Pace of the part; None: not known yet.
        part_left: Seconds of the part; None: not known.
        step_left: Seconds; None: not known.
        job_left: Seconds of this step and the later ones; None: not known.
    """

    name: str
    model: str = ""
    stage: str = ""
    step: str = ""
    number: int = 0
    steps: int = 0
    later: Sequence[str] = ()
    part: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    note: str = ""
    loss_nats: float | None = None
    seconds: float = 0.0
    per_second: float | None = None
    part_left: float | None = None
    step_left: float | None = None
    job_left: float | None = None

    @property
    def percent(self) -> float:
        """How much of the step is done; 0 where nobody knows."""
        if self.step_left is None:
            return 0.0
        share = self.seconds / max(self.seconds + self.step_left, 1e-9)
        return 100.0 * min(1.0, share)


@dataclass(frozen=True, kw_only=True)
class _Step:
    name: str
    began: float


@dataclass(frozen=True, kw_only=True)
class _Count:
    part: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    note: str = ""
    loss_nats: float | None = None
    is_step: bool = False
    began: float = 0.0
    began_with: int = 0
    at: float = 0.0


@dataclass
class Job:
    """What a process is doing; safe to be told and read by several threads.

    Attributes:
        name: Of the command or flow.
        model: That it works on.
        stage: What the steps are part of, where they come several times.
        clock: Seconds from anywhere.
    """

    name: str
    model: str = ""
    stage: str = ""
    clock: Callable[[], float] = time.monotonic
    _began: float = 0.0
    _expected: Sequence[str] = ()
    _seconds: Mapping[str, float] = field(default_factory=dict)
    _step: _Step | None = None
    _count: _Count = field(default_factory=_Count)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def expect(self, steps: Sequence[str], seconds: Mapping[str, float]) -> None:
        """Say which steps will come, and how long those that are known may take."""
        with self._lock:
            self._expected, self._seconds = tuple(steps), dict(seconds)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Inside, this step is in progress."""
        with self._lock:
            before = self._step, self._count
            now = self.clock()
            self._step, self._count = _Step(name=name, began=now), _Count(began=now, at=now)
        try:
            yield
        finally:
            with self._lock:
                self._step, self._count = before if before[0] else (None, _Count())

    def count(
        self,
        part: str,
        done: int = 0,
        total: int | None = None,
        *,
        unit: str = "",
        note: str = "",
        loss_nats: float | None = None,
        is_step: bool = False,
    ) -> None:
        """Say how far the step is.

        Args:
            part: Of the step.
            done: Of it, in `unit`.
            total: How many there are.
            unit: What is counted, in the plural.
            note: Further numbers, in words.
            loss_nats: Of a training step.
            is_step: The part is all of the step, so its pace tells when the step ends.
        """
        with self._lock:
            now, before = self.clock(), self._count
            # Of a training the total may change, and its pace is the same one.
            same = (before.part, before.unit) == (part, unit) and done >= before.done
            self._count = replace(
                before if same else _Count(began=now, began_with=done),
                part=part,
                done=done,
                total=total,
                unit=unit,
                note=note,
                loss_nats=loss_nats,
                is_step=is_step,
                at=now,
            )

    def snapshot(self) -> Snapshot:
        """This moment."""
        with self._lock:
            now, step, count = self.clock(), self._step, self._count
            name = step.name if step else ""
            seconds = now - (step.began if step else self._began)
            place = self._expected.index(name) if name in self._expected else -1
            later = self._expected[place + 1 :] if place >= 0 else ()
            left = self._step_left(name, seconds, now)
            rest = [self._seconds.get(one) for one in later]
            known = [value for value in rest if value is not None]
            return Snapshot(
                name=self.name,
                model=self.model,
                stage=self.stage,
                step=name,
                number=place + 1,
                steps=len(self._expected) if place >= 0 else 0,
                later=later,
                part=count.part,
                done=count.done,
                total=count.total,
                unit=count.unit,
                note=count.note,
                loss_nats=count.loss_nats,
                seconds=seconds,
                per_second=_pace(count, now),
                part_left=_left(count, now),
                step_left=left,
                job_left=None if left is None or len(known) < len(rest) else left + sum(known),
            )

    def _step_left(self, name: str, seconds: float, now: float) -> float | None:
        if self._count.is_step and (left := _left(self._count, now)) is not None:
            return left
        expected = self._seconds.get(name)
        if expected is None or seconds > expected:
            return None
        return expected - seconds


def _pace(count: _Count, now: float) -> float | None:
    """Of what was counted since the part began; what was there before says nothing of it."""
    fresh, seconds = count.done - count.began_with, count.at - count.began
    return fresh / seconds if fresh > 0 and seconds >= _PACE_SECONDS else None


def _left(count: _Count, now: float) -> float | None:
    """Seconds of the part; its pace was measured at the last count, which may be a while ago."""
    pace = _pace(count, now)
    if count.total is None or not pace:
        return None
    return max(0.0, (count.total - count.done) / pace - (now - count.at))


_none = Job(name="")
_open: list[Job] = []


def current() -> Job:
    """The job of this process; one that nobody looks at where none is open."""
    return _open[-1] if _open else _none


@contextmanager
def opened(name: str, model: str = "") -> Iterator[Job]:
    """Inside, the process has this job; a job inside another one is part of it."""
    if _open:
        job = _open[-1]
        before = job.model
        job.model = model or before
        try:
            yield job
        finally:
            job.model = before
        return
    job = Job(name=name, model=model)
    _open.append(job)
    try:
        yield job
    finally:
        _open.remove(job)
