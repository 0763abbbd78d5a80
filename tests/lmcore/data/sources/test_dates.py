"""Dates of text, in cells and in the names of files."""

import math
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.data.sources.dates import date_in_name, is_missing, iso_date


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-02-29", "2024-02-29"),
        ("2024-02-30", None),
        ("20240229", "2024-02-29"),
        (20240229, "2024-02-29"),
        (20240229.0, "2024-02-29"),
        ("20241301", None),
        ("2024-05-01T10:00:00+02:00", "2024-05-01"),
        (" 2024-05-01 ", "2024-05-01"),
        ("2024-02", "2024-02-29"),
        ("2023-02", "2023-02-28"),
        ("2024-12", "2024-12-31"),
        ("2024-13", None),
        ("2024-00", None),
        ("2024-W05", "2024-02-04"),
        ("2024-W05-2", "2024-01-30"),
        ("2024", "2024-12-31"),
        (1790, "1790-12-31"),
        (1790.0, "1790-12-31"),
        (1790.5, None),
        (math.nan, None),
        (math.inf, None),
        (True, None),
        ("9999-W52", None),
        ("0000", None),
        ("٢٠٢٤", None),
        ("soon", None),
        ("", None),
        (None, None),
        (date(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1, 23, 59), "2024-05-01"),
    ],
)
def test_dates_in_any_form_become_iso_dates(value: object, expected: str | None) -> None:
    assert iso_date(value) == expected


@given(st.dates())
def test_a_partial_date_stands_for_its_last_day(day: date) -> None:
    iso = day.isoformat()
    assert iso_date(iso) == iso_date(iso.replace("-", "")) == iso
    for partial in (iso[:7], iso[:4]):
        last = iso_date(partial)
        assert last is not None
        assert last >= iso
        assert last[: len(partial)] == partial
        if last != date.max.isoformat():
            following = date.fromisoformat(last) + timedelta(days=1)
            assert following.isoformat()[: len(partial)] != partial


@pytest.mark.parametrize("value", [None, "", "  ", math.nan])
def test_an_empty_cell_holds_no_date(value: object) -> None:
    assert is_missing(value)


@pytest.mark.parametrize("value", ["soon", 0, 2024, math.inf, False])
def test_any_other_cell_says_something(value: object) -> None:
    assert not is_missing(value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("texts/1973-Nixon-4.txt", "1973-12-31"),
        ("1999-12-31 minutes.txt", "1999-12-31"),
        ("minutes of 1999-12-31.txt", "1999-12-31"),
        ("1999-12-32.txt", "1999-12-31"),  # no day of that name: the year is left
        ("minutes 1999-12-32.txt", None),
        ("1850-2024-01-05.txt", "2024-01-05"),
        ("2024-01-05/minutes.txt", None),
        ("minutes_20240105.txt", "2024-01-05"),
        ("20240105T1000.txt", "2024-01-05"),
        ("minutes-2024-02.txt", "2024-02-29"),
        ("2024-02.txt", "2024-02-29"),
        ("1973-1974.txt", "1973-12-31"),
        ("order 10110512.txt", None),  # a number, not a day of the year 1011
        ("order 20249999.txt", None),
        ("call 020-2024-02.txt", None),
        ("minutes.txt", None),
        ("12345.txt", None),
        ("11999-12-31.txt", None),
    ],
)
def test_dates_are_found_in_the_names_of_files(name: str, expected: str | None) -> None:
    assert date_in_name(name) == expected
