"""The arithmetic that comparisons rest on: how text is cut, what is counted, when a loss is met."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.arithmetic import (
    Window,
    cut_windows,
    growth,
    iteration_seconds,
    perplexity,
    ratios,
    spread,
    time_to,
    training_seconds,
)


def test_cold_windows_by_hand() -> None:
    assert cut_windows(10, width=4, stride=4) == [
        Window(start=0, stop=4, counted=4),
        Window(start=4, stop=8, counted=4),
        Window(start=8, stop=10, counted=2),
    ]


def test_sliding_windows_by_hand() -> None:
    # The second window reads inputs 2 to 5 and counts the targets of 4 and 5 alone.
    assert cut_windows(7, width=4, stride=2) == [
        Window(start=0, stop=4, counted=4),
        Window(start=2, stop=6, counted=2),
        Window(start=4, stop=7, counted=1),
    ]


@given(num_targets=st.integers(1, 400), width=st.integers(1, 50), part=st.floats(0.02, 1.0))
def test_each_target_is_counted_once_with_the_promised_context(
    num_targets: int, width: int, part: float
) -> None:
    stride = max(1, int(part * width))
    counted: list[int] = []
    for window in cut_windows(num_targets, width=width, stride=stride):
        assert window.stop - window.start <= width
        for place in range(window.stop - window.counted, window.stop):
            counted.append(place)
            if window.start:
                assert place - window.start >= width - stride
    assert counted == list(range(num_targets))


@pytest.mark.parametrize(("targets", "width", "stride"), [(0, 4, 4), (5, 4, 5), (5, 4, 0)])
def test_windows_that_would_lose_targets_are_refused(targets: int, width: int, stride: int) -> None:
    with pytest.raises(ValueError, match="expected targets"):
        cut_windows(targets, width=width, stride=stride)


def test_perplexity_of_uniform_guessing_is_the_vocabulary() -> None:
    assert perplexity(7 * math.log(65), 7) == pytest.approx(65)
    with pytest.raises(ValueError, match="no target"):
        perplexity(0.0, 0)


def test_time_to_a_loss_is_the_first_measured_moment() -> None:
    curve = [(1.0, 3.0), (2.0, 1.9), (3.0, 1.88), (4.0, 2.0), (5.0, 1.5)]
    assert time_to(curve, 1.88) == 3.0
    assert time_to(curve, 1.4) is None
    assert time_to([], 1.4) is None


def test_spread() -> None:
    found = spread([1.0, 2.0, 6.0])
    assert (found["median"], found["mean"], found["least"], found["most"]) == (2.0, 3.0, 1.0, 6.0)
    assert found["deviation"] == pytest.approx(math.sqrt(7))
    assert spread([2.0])["deviation"] == 0.0
    with pytest.raises(ValueError, match="no measurement"):
        spread([])


def test_ratios_are_those_of_each_turn() -> None:
    found = ratios([2.0, 9.0, 4.0], [1.0, 3.0, 4.0])
    # Of the medians it would be 4 / 3.
    assert (found["median"], found["least"], found["most"]) == (2.0, 1.0, 3.0)
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@given(
    power=st.floats(-2, 2),
    scale=st.floats(0.1, 10),
    sizes=st.sets(st.integers(1, 9999), min_size=2),
)
def test_growth_finds_the_exponent(power: float, scale: float, sizes: set[int]) -> None:
    ordered = sorted(sizes)
    costs = [scale * size**power for size in ordered]
    assert growth(ordered, costs) == pytest.approx(power, abs=1e-3)


LINES = [
    (1.0, "number of parameters: 0.80M"),
    (5.0, "using fused AdamW: False"),
    (6.5, "step 0: train loss 4.2, val loss 4.2"),
    (7.0, "iter 0: loss 4.2000, time 1500.00ms, mfu -100.00%"),
    (7.25, "iter 1: loss 4.0000, time 250.00ms, mfu -100.00%"),
    (9.0, "step 2: train loss 3.9, val loss 3.9"),
    (9.5, "iter 2: loss 3.8000, time 2000.00ms, mfu -100.00%"),
]


def test_training_seconds_leave_out_the_start_and_the_last_look() -> None:
    assert training_seconds(LINES, last_iteration=1) == pytest.approx(2.25)
    with pytest.raises(ValueError, match="no line 'iter 7:'"):
        training_seconds(LINES, last_iteration=7)
    with pytest.raises(ValueError, match="using fused AdamW"):
        training_seconds(LINES[2:], last_iteration=1)


def test_iteration_seconds_are_the_median_after_the_first() -> None:
    lines = [line for _, line in LINES]
    assert iteration_seconds(lines, skip=1) == pytest.approx((0.25 + 2.0) / 2)
    with pytest.raises(ValueError, match="3 iterations"):
        iteration_seconds(lines)
