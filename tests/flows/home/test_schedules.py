"""Schedules as Prefect reads them: what it refuses, and what it does when clocks change."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flows.home.schedules import check_schedule, described, next_in_words, next_runs
from lmcore.config import RunConfig, parse_config
from lmcore.errors import ConfigError


def config(**schedule: Any) -> RunConfig:
    values = {"name": "stories", "sources": [{"path": "texts"}], "schedule": schedule or None}
    return parse_config(values, where="test")


@pytest.mark.parametrize(
    ("schedule", "key"),
    [
        ({"cron": "0 3 * * 5L"}, "schedule.cron='0 3 * * 5L'"),
        ({"cron": "0 3 LW * *"}, "schedule.cron='0 3 LW * *'"),
        ({"cron": "0 3 15W * *"}, "schedule.cron='0 3 15W * *'"),
        ({"cron": "0 25 * * *"}, "schedule.cron='0 25 * * *'"),
        ({"cron": "H 3 * * *"}, "schedule.cron='H 3 * * *'"),
        ({"cron": "0 3 31 2 *"}, "schedule.cron='0 3 31 2 *'"),  # read, but never due
        ({"cron": "0 3 * * 1", "timezone": "posixrules"}, "schedule.timezone='posixrules'"),
        ({"cron": "0 3 * * 1", "timezone": "localtime"}, "schedule.timezone='localtime'"),
        ({"cron": "0 3 * * 1", "timezone": "Factory"}, "schedule.timezone='Factory'"),
    ],
)
def test_what_the_scheduler_cannot_use_is_told(schedule: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_schedule(config(**schedule), where="my.yaml")
    assert str(caught.value).startswith(f"my.yaml: {key}: the scheduler cannot use it; expected ")


@pytest.mark.parametrize(
    "cron", ["0 3 * * 1", "*/10 * * * *", "0 3 L * *", "0 3 * * L5", "0 3 * * mon#2", "0 3 29 2 *"]
)
def test_what_the_scheduler_can_use_is_taken(cron: str) -> None:
    check_schedule(config(cron=cron, timezone="Europe/Paris"), where="my.yaml")
    check_schedule(config(), where="my.yaml")


def test_a_schedule_in_words_is_the_one_that_the_next_runs_are_of() -> None:
    assert described(config()) is None
    words = described(config(cron=" 0  3 * * 1", timezone="Europe/Paris"))
    assert words == "0 3 * * 1 (Europe/Paris)"
    assert next_runs(words, now=datetime(2026, 10, 13, tzinfo=UTC)) == [
        "2026-10-19T03:00+02:00",
        "2026-10-26T03:00+01:00",
        "2026-11-02T03:00+01:00",
        "2026-11-09T03:00+01:00",
        "2026-11-16T03:00+01:00",
    ]


def test_a_time_that_a_spring_day_has_not_is_kept_in_the_offset_of_before() -> None:
    # In Paris 02:00 becomes 03:00 on 28 March 2027, so 02:30 in winter time is half past one.
    runs = next_runs("30 2 * * * (Europe/Paris)", now=datetime(2027, 3, 27, tzinfo=UTC))
    assert runs[:3] == [
        "2027-03-27T02:30+01:00",
        "2027-03-28T01:30+01:00",
        "2027-03-29T02:30+02:00",
    ]


def test_a_time_that_an_autumn_day_has_twice_is_met_once() -> None:
    # In Paris 03:00 becomes 02:00 on 25 October 2026.
    runs = next_runs("30 2 * * * (Europe/Paris)", now=datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert runs[:2] == ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]
    between = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # the second ten past two
    assert next_runs("30 2 * * * (Europe/Paris)", now=between)[0] == "2026-10-26T02:30+01:00"


@pytest.mark.parametrize(
    "schedule",
    [None, "", "by hand", "0 3 * * 1", "0 3 * * 5L (UTC)", "0 3 * * 1 (Mars)", 7, [], {}],
)
def test_what_is_no_schedule_has_no_next_run(schedule: object) -> None:
    assert next_runs(schedule) == []


def test_the_next_run_in_words() -> None:
    now = datetime(2026, 11, 29, 10, 0, tzinfo=UTC)
    assert next_in_words("0 3 * * 1 (UTC)", now=now) == "Mon 30 Nov 2026, 03:00 UTC, in 17 h"
    assert next_in_words("5 11 * * * (Europe/Paris)", now=now).endswith(
        "11:05 Europe/Paris, in 5 min"
    )
    assert next_in_words("0 3 1 1 * (UTC)", now=now).endswith("in 33 days")
    assert next_in_words(None) == next_in_words("whenever (UTC)") == ""
