"""A metric over versions: few labels, and no value that hides the others."""

import re

import pytest

from lmcore.reporting.dashboard.trends import Measured, trend_chart, version_axis, version_ticks


def test_one_wild_value_does_not_flatten_the_others():
    points = [
        Measured(number=n, value=v, lower=None, upper=None, kind="kept", summary="")
        for n, v in enumerate([1.4 + 0.001 * n for n in range(40)] + [90.0], start=1)
    ]
    chart = trend_chart(points)
    assert chart is not None
    assert chart.outside == 1
    heights = [mark.y for mark in chart.marks[:-1]]
    assert max(heights) - min(heights) > 20
    assert chart.marks[-1].y == 0


@pytest.mark.parametrize(
    ("higher", "said"), [(True, "highest 3 at version 2."), (False, "lowest 1 at version 1.")]
)
def test_the_best_value_is_named(higher, said):
    points = [
        Measured(number=n, value=v, lower=None, upper=None, kind="kept", summary="")
        for n, v in ((1, 1.0), (2, 3.0), (3, 2.0))
    ]
    chart = trend_chart(points, higher_is_better=higher)
    assert chart is not None
    assert chart.description.endswith(said)


@pytest.mark.parametrize("count", [1, 2, 13, 500])
def test_versions_have_whole_numbers_and_few(count):
    labels = [tick.label for tick in version_ticks(version_axis(range(1, count + 1)))]
    assert 1 <= len(labels) <= 12
    assert all(re.fullmatch(r"v\d+", label) for label in labels)
