"""What the scheduler makes of a schedule: whether it can keep it, and when its next runs are.

In: the cron line and time zone of a configuration.  Out: times, or one sentence that names the key.
Both answers come from the code by which Prefect's server plans runs, because other readers of cron
accept other lines: one that only the server refuses would stop the planning of every model.
Prefect is imported where they are not known yet; the times that it computed are kept in the home.
"""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime
from pathlib import Path

from flows.home.planned_runs import PlannedRuns
from lmcore.config import RunConfig
from lmcore.errors import ConfigError
from lmcore.settings import short

NEXT_RUNS = 5
#: Times that are computed and kept at once.
_AHEAD = 300
_DESCRIBED = re.compile(r"(?P<cron>[^()]{1,200}) \((?P<timezone>[^()\s]{1,100})\)")


def described(config: RunConfig) -> str | None:
    """The schedule of a configuration in words, as a version's last run keeps it."""
    schedule = config.schedule
    return f"{schedule.cron} ({schedule.timezone})" if schedule is not None else None


def check_schedule(config: RunConfig, *, where: str, kept: Path | None = None) -> None:
    """Ask the scheduler for the next runs.

    Args:
        config: With or without a schedule.
        where: The file, for the message.
        kept: File of times that the scheduler computed before.

    Raises:
        ConfigError: If it cannot read the cron line or the time zone, or finds no day for it.
    """
    schedule = config.schedule
    if schedule is None:
        return
    now = datetime.now(UTC)
    if PlannedRuns(kept).find(schedule.cron, schedule.timezone, start=now):
        return
    # In UTC first: what fails there is not the time zone's fault.
    for key, value, timezone, expected in (
        (
            "cron",
            schedule.cron,
            "UTC",
            "five cron fields that meet some day, for example '0 3 * * 1' (L5 is the last Friday of"
            " a month, L its last day)",
        ),
        (
            "timezone",
            schedule.timezone,
            schedule.timezone,
            "the name of an IANA time zone, for example 'Europe/Paris'",
        ),
    ):
        try:
            _planned(schedule.cron, timezone, start=now, kept=kept)
        except Exception as error:  # whatever it raises there would stop the server's planning
            raise ConfigError(
                f"{where}: schedule.{key}={short(value)}: the scheduler cannot use it; expected"
                f" {expected}"
            ) from error


def next_runs(
    schedule: object, *, now: datetime | None = None, kept: Path | None = None
) -> list[str]:
    """When a schedule asks for the next five runs, as the scheduler computes it.

    On a day on which clocks change, a time that does not exist is kept in the offset of before (so
    02:30 is 01:30), and one that exists twice is met once.

    Args:
        schedule: As `described` wrote it; from a tag that anybody can edit, so anything.
        now: Where to begin; None for this moment.
        kept: File of times that the scheduler computed before.

    Returns:
        ISO 8601 times with their offset; empty where there is no schedule that can be read.
    """
    match = _DESCRIBED.fullmatch(schedule) if isinstance(schedule, str) else None
    if match is None:
        return []
    now = now or datetime.now(UTC)
    try:
        planned = _planned(match["cron"], match["timezone"], start=now, kept=kept)
    except Exception:  # written by another release, or by hand
        return []
    return [time.isoformat(timespec="minutes") for time in planned][:NEXT_RUNS]


def next_in_words(
    schedule: object, *, now: datetime | None = None, kept: Path | None = None
) -> str:
    """The next run that a schedule asks for: `Mon 30 Nov 2026, 03:00, in 17 h`.

    Args:
        schedule: As of `next_runs`.
        now: As of `next_runs`.
        kept: As of `next_runs`.

    Returns:
        The time in the schedule's zone; empty where there is none.
    """
    now = now or datetime.now(UTC)
    planned = next_runs(schedule, now=now, kept=kept)
    if not planned:
        return ""
    time = datetime.fromisoformat(planned[0])
    minutes = max(1, round((time - now).total_seconds() / 60))
    if minutes < 60:
        left = f"{minutes} min"
    elif minutes < 48 * 60:
        left = f"{round(minutes / 60)} h"
    else:
        left = f"{round(minutes / 1440)} days"
    zone = _DESCRIBED.fullmatch(str(schedule))
    assert zone is not None
    return f"{time:%a %d %b %Y, %H:%M} {zone['timezone']}, in {left}"


def _planned(cron: str, timezone: str, *, start: datetime, kept: Path | None) -> list[datetime]:
    """Times from `start` on, at least five where there are as many."""
    planned = PlannedRuns(kept)
    known = planned.find(cron, timezone, start=start)
    if len(known) >= NEXT_RUNS:
        return known
    import asyncio

    from prefect.server.schemas.schedules import CronSchedule

    schedule = CronSchedule(cron=cron, timezone=timezone)

    def dates(number: int) -> list[datetime]:
        # Where an hour comes twice it may begin in the first of them: the past is left out.
        found = asyncio.run(schedule.get_dates(number, start=start))
        return sorted(date for date in found if date >= start)

    found = dates(2 * NEXT_RUNS)
    if kept is not None:
        with contextlib.suppress(Exception):  # some calendars end early
            found = dates(_AHEAD)
        planned.keep(cron, timezone, found, start=start)
    return found
