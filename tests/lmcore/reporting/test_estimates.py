"""A number is shown with the digits that its interval supports, and none that it does not."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.reporting.estimates import Estimate

MAYBE = st.none() | st.floats(-1e3, 1e3)


@pytest.mark.parametrize(
    ("facts", "shown", "bounds", "unit"),
    [
        (
            {"value": 1.50312, "lower": 1.48, "upper": 1.526, "unit": "bits/byte"},
            *("1.503", "1.480 to 1.526", "bits/byte"),
        ),
        ({"value": 0.8, "lower": 0.7, "upper": 0.9, "unit": "share"}, "80 %", "70 % to 90 %", ""),
        ({"value": 1.25, "upper": 1.5}, "1.25", "at most 1.5", ""),
        ({"value": 3_412_480, "unit": "parameters"}, "3,412,480", "", "parameters"),
        ({"lower": 2.0}, "–", "at least 2", ""),
        ({}, "–", "", ""),
    ],
)
def test_value_bounds_and_unit_as_people_read_them(facts, shown, bounds, unit):
    found = Estimate(**facts)
    assert (found.shown, found.bounds, found.shown_unit) == (shown, bounds, unit)


@settings(deadline=None)
@given(MAYBE, MAYBE, MAYBE)
def test_what_is_known_is_kept_in_its_order(value, lower, upper):
    found = Estimate(value=value, lower=lower, upper=upper)
    assert found.known == [v for v in (value, lower, upper) if v is not None]
    both = lower is not None and upper is not None
    assert found.width == (upper - lower if both else None)
    assert (found.bounds == "") == (lower is None and upper is None)


@pytest.mark.parametrize("broken", [math.nan, math.inf, "1.5", True, [1.5], 10**400])
def test_what_is_no_number_is_unknown(broken):
    found = Estimate(value=broken, lower=1.0, upper=broken, n=broken)
    assert (found.value, found.n, found.width) == (None, None, None)
    assert found.known == [1.0]
    assert found.bounds == "at least 1"


def test_a_unit_of_a_stranger_is_one_short_line():
    assert Estimate(unit="a\n\tb").shown_unit == "a b"
    assert Estimate(unit="x" * 70).shown_unit == f"{'x' * 60}… (10 more characters)"
    assert Estimate(unit=3).shown_unit == ""
