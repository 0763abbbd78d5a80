"""How a metric is written, and which way is better."""

import pytest

from lmcore.evaluation.statistics.intervals import Interval
from lmcore.evaluation.statistics.metric import Metric

SHARE = Metric(name="accuracy", title="accuracy", unit="share", higher_is_better=True, places=".1%")
LOSS = Metric(name="loss", title="bits per byte", unit="bits/byte", higher_is_better=False)


def test_a_metric_knows_its_direction():
    assert SHARE.direction == 1
    assert LOSS.direction == -1
    assert (SHARE.is_share, LOSS.is_share) == (True, False)


@pytest.mark.parametrize(
    ("metric", "value", "sign", "text"),
    [
        (SHARE, 0.25, "+", "+25.0%"),
        (SHARE, 0.25, "", "25.0%"),
        (LOSS, -0.0214, "+", "-0.021"),
        (LOSS, 1.5, "", "1.500"),
    ],
)
def test_values_are_written_as_the_metric_says(metric, value, sign, text):
    assert metric.shown(value, sign=sign) == text


def test_bounds_of_a_difference_have_signs():
    found = Interval(value=0.1, lower=-0.052, upper=0.25, n=9)
    assert SHARE.bounds(found) == "-5.2% and +25.0%"
    assert LOSS.bounds(found) == "-0.052 and +0.250"


def test_a_sentence_begins_with_a_capital_and_keeps_the_rest():
    assert LOSS.heading == "Bits per byte"
    title = Metric(name="rougeL", title="rOUGE-L", unit="share")
    assert title.heading == "ROUGE-L"
