"""Times that the scheduler computed are kept, and believed no longer than they are good for."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.home.planned_runs import PlannedRuns
from flows.home.schedules import next_runs

NOW = datetime.now(UTC).replace(microsecond=0)
TIMES = [NOW + timedelta(days=day) for day in range(9)]


def test_what_was_kept_is_found_from_any_later_moment_on(tmp_path: Path) -> None:
    planned = PlannedRuns(tmp_path / "cache" / "planned.json")
    assert planned.find("0 3 * * *", "UTC", start=NOW) == []
    planned.keep("0 3 * * *", "UTC", TIMES, start=NOW)
    planned.keep("0 4 * * *", "UTC", TIMES[:1], start=NOW)
    assert planned.find("0 3 * * *", "UTC", start=NOW) == TIMES
    assert planned.find("0 3 * * *", "UTC", start=TIMES[3]) == TIMES[3:]
    assert planned.find("0 3 * * *", "Europe/Paris", start=NOW) == []
    assert planned.find("0 3 * * *", "UTC", start=NOW - timedelta(seconds=1)) == []
    assert planned.find("0 3 * * *", "UTC", start=NOW + timedelta(days=40)) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "no JSON",
        lambda text: "[]",
        lambda text: text.replace('"prefect": "', '"prefect": "0.'),
        lambda text: text.replace("T", "T9"),
        lambda text: json.dumps({**json.loads(text), "schedules": {"0 3 * * * (UTC)": 7}}),
    ],
)
def test_what_cannot_be_believed_is_not_there(tmp_path: Path, damage: object) -> None:
    file = tmp_path / "planned.json"
    PlannedRuns(file).keep("0 3 * * *", "UTC", TIMES, start=NOW)
    file.write_text(damage(file.read_text()))  # type: ignore[operator]
    assert PlannedRuns(file).find("0 3 * * *", "UTC", start=NOW) == []
    PlannedRuns(file).keep("0 3 * * *", "UTC", TIMES, start=NOW)
    assert PlannedRuns(file).find("0 3 * * *", "UTC", start=NOW) == TIMES


@pytest.mark.parametrize("schedule", ["30 2 * * * (Europe/Paris)", "*/7 * * * * (UTC)"])
def test_kept_times_are_those_that_the_scheduler_would_say_now(
    tmp_path: Path, schedule: str
) -> None:
    file = tmp_path / "planned.json"
    for days in (0, 1):
        now = NOW + timedelta(days=days)
        assert next_runs(schedule, now=now, kept=file) == next_runs(schedule, now=now)
