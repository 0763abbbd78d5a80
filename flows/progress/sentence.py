"""A snapshot in words: one line for people."""

from __future__ import annotations

from flows.progress.job import Snapshot
from lmcore.counted import named


def duration(seconds: float) -> str:
    """Seconds as people say them: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest:02d} s" if minutes < 10 else f"{minutes} min"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60:02d} min"


def sentence(now: Snapshot) -> str:
    """What is done, how fast, and how long it still takes."""
    step = now.step or now.name
    head = f"{now.stage}, {step}" if now.stage else step
    if now.number and now.steps > 1:
        head += f" ({now.number} of {now.steps})"
    told = [part for part in (_counted(now), _pace(now), now.note) if part]
    if now.step_left is not None:
        told.append(f"about {duration(now.step_left)} left")
    else:
        if now.part_left is not None and now.part:
            told.append(f"about {duration(now.part_left)} of it left")
        told.append(f"{duration(now.seconds)} so far")
    if now.later:
        rest = f"then {', '.join(now.later)}"
        if now.job_left is not None:
            rest += f": {duration(now.job_left)} in all"
        told[-1] += f"; {rest}"
    return f"{head}: {', '.join(told)}"


def _counted(now: Snapshot) -> str:
    if now.total:
        counted = f"{now.done:,} of {now.total:,}"
    elif now.done:
        counted = f"{now.done:,}"
    else:
        return now.part
    unit = f" {now.unit if now.total else _unit(now, now.done)}" if now.unit else ""
    # `train: step 3 of 9` and `read: 300 documents` say the unit once.
    return f"{now.part} {counted}{unit}".strip()


def _pace(now: Snapshot) -> str:
    if now.per_second is None or not now.unit:
        return ""
    pace = now.per_second
    shown = f"{pace:,.0f}" if pace >= 10 else f"{pace:.2g}"
    return f"{shown} {_unit(now, float(shown.replace(',', '')))}/s"


def _unit(now: Snapshot, number: float) -> str:
    return named(number, now.unit.removesuffix("s"), now.unit)
