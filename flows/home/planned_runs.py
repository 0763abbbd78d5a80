"""What the scheduler made of schedules, kept: Prefect takes a second and more to import.

In: a file below the home, and times that Prefect's own code computed.  Out: the same times, as long
as they were computed by the installed release, lately, and reach far enough.  It is a cache: it
decides nothing that Prefect did not, and may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lmcore.durable import atomic_write

#: Time zones change their rules a few times a year.
_DAYS = 31
_SCHEDULES = 200


class PlannedRuns:
    """Times of schedules in one file.

    Args:
        file: Where they are kept; None keeps nothing.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def find(self, cron: str, timezone: str, *, start: datetime) -> list[datetime]:
        """Times of a schedule from `start` on, in order; none where it is not known."""
        kept: Any = self._read().get(_name(cron, timezone))
        try:
            since, until = (datetime.fromisoformat(kept[key]) for key in ("from", "at"))
            if not since <= start <= until + timedelta(days=_DAYS):
                return []
            times = [datetime.fromisoformat(time) for time in kept["times"]]
            return [time for time in times if time >= start]
        except (TypeError, KeyError, ValueError):
            return []

    def keep(self, cron: str, timezone: str, times: Sequence[datetime], *, start: datetime) -> None:
        """Keep the times of a schedule from `start` on."""
        if self._file is None:
            return
        others = self._read()
        others.pop(_name(cron, timezone), None)
        mine = {
            "from": start.isoformat(),
            "at": datetime.now(UTC).isoformat(),
            "times": [time.isoformat() for time in times],
        }
        newest = dict([*others.items(), (_name(cron, timezone), mine)][-_SCHEDULES:])
        with contextlib.suppress(OSError):
            atomic_write(
                self._file, json.dumps({"prefect": version("prefect"), "schedules": newest})
            )

    def _read(self) -> dict[str, Any]:
        if self._file is None:
            return {}
        try:
            value = json.loads(self._file.read_text(encoding="utf-8"))
            if value["prefect"] == version("prefect"):
                return dict(value["schedules"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return {}


def _name(cron: str, timezone: str) -> str:
    return f"{cron} ({timezone})"
