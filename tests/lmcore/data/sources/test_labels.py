"""Labels: one text for each class, and none for what is no number."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.data.sources.labels import label


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (-1, "-1"),
        (0.5, "0.5"),
        (1e300, "1e+300"),
        (Decimal("2.00"), "2"),
        (Decimal("2.50"), "2.50"),
        (True, "true"),
        (False, "false"),
        ("007", "007"),
        ("NA", "NA"),
        ("nan", "nan"),
        ("", ""),
        (None, None),
    ],
)
def test_a_class_is_one_text_however_it_was_stored(value: object, expected: object) -> None:
    assert label(value, name="y") == expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (math.nan, "NaN"),
        (math.inf, "infinite"),
        (-math.inf, "infinite"),
        (Decimal("NaN"), "NaN"),
        (Decimal("Infinity"), "infinite"),
    ],
)
def test_what_is_not_finite_is_no_class(value: object, kind: str) -> None:
    with pytest.raises(ValueError, match=f"'y' is {kind}, which is no label"):
        label(value, name="y")


@given(st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1))
def test_integers_that_became_floats_are_the_same_class(number: int) -> None:
    assert label(float(number), name="y") == label(number, name="y") == str(number)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_that_differ_are_different_classes(number: float) -> None:
    other = math.nextafter(number, math.inf)
    assert math.isinf(other) or label(other, name="y") != label(number, name="y") or number == other
