"""A scale of time has few labels, and round ones."""

from datetime import UTC, datetime, timedelta

import pytest

from lmcore.reporting.dashboard.moments import TimeAxis


@pytest.mark.parametrize("seconds", [60, 5_000, 90_000, 1e6, 2e7, 3e8, 2e9])
def test_time_has_a_few_round_labels(seconds):
    start = datetime(2026, 3, 2, 3, 7, tzinfo=UTC)
    ticks = TimeAxis(start=start, end=start + timedelta(seconds=seconds)).ticks()
    assert 1 <= len(ticks) <= 13
    assert [t.at for t in ticks] == sorted(t.at for t in ticks)
