"""The arithmetic of the comparisons, without models and without clocks, so that tests can hold it.

Validation text of n tokens has n - 1 targets: the first token is only an input, as a model
without a start token cannot predict it. Every way of cutting the text below counts each of these
targets exactly once, so losses of all ways and all sides are means over the same targets.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Window:
    """One independent reading of `tokens[start:stop]`, which predicts `tokens[start+1:stop+1]`.

    Attributes:
        start: First input.
        stop: After the last input.
        counted: How many of the last targets count; those before were counted already.
    """

    start: int
    stop: int
    counted: int


def cut_windows(num_targets: int, *, width: int, stride: int) -> list[Window]:
    """Windows of `width` inputs that begin every `stride` tokens.

    With `stride == width` each is cold: its first target has a context of one token. With a
    smaller stride every target but the first ones has a context of at least `width - stride`.

    Raises:
        ValueError: Unless 1 <= stride <= width and there is a target.
    """
    if not 1 <= stride <= width or num_targets < 1:
        raise ValueError(
            f"{num_targets} targets, width {width}, stride {stride};"
            " expected targets and 1 <= stride <= width"
        )
    windows: list[Window] = []
    done = start = 0
    while done < num_targets:
        stop = min(start + width, num_targets)
        windows.append(Window(start=start, stop=stop, counted=stop - done))
        done = stop
        start += stride
    return windows


def perplexity(sum_nats: float, num_targets: int) -> float:
    """Exp of the mean loss; a text without targets has none.

    Raises:
        ValueError: If nothing was counted.
    """
    if num_targets < 1:
        raise ValueError("no target was counted, so there is no perplexity")
    return math.exp(sum_nats / num_targets)


def time_to(curve: Iterable[tuple[float, float]], target: float) -> float | None:
    """First second at which a measured loss was at or under the target; None if never.

    Not interpolated: the answer is a time at which the loss was really measured.

    Args:
        curve: (seconds, loss) in the order of time.
        target: The loss to reach.
    """
    return next((seconds for seconds, loss in curve if loss <= target), None)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, mean, least, most and standard deviation of repeated measurements.

    Raises:
        ValueError: If there is none.
    """
    if not values:
        raise ValueError("no measurement, so no spread")
    return {
        "median": statistics.median(values),
        "mean": statistics.fmean(values),
        "least": min(values),
        "most": max(values),
        "deviation": statistics.stdev(values) if len(values) > 1 else 0.0,
        "repeats": len(values),
    }


def ratios(some: Sequence[float], others: Sequence[float]) -> dict[str, float]:
    """Spread of how many times as large some are as others, turn by turn.

    Raises:
        ValueError: If there are not as many of both, or none.
    """
    return spread([one / other for one, other in zip(some, others, strict=True)])


def growth(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Exponent p of the least-squares fit cost = c * size ** p: 0 is constant, 1 is linear."""
    slope = statistics.linear_regression(
        [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    ).slope
    return float(slope)


def training_seconds(lines: Sequence[tuple[float, str]], *, last_iteration: int) -> float:
    """Seconds that nanoGPT's train.py trained, from the arrival times of what it printed.

    From the line about its optimizer, the last before its loop, to the line of the last
    iteration: looks at the data on the way are in, imports, loading and the final look are not.

    Args:
        lines: (arrival in seconds, line), in order.
        last_iteration: The last one that the saved weights contain.

    Raises:
        ValueError: If one of the two lines is missing.
    """
    begin = next((at for at, line in lines if line.startswith("using fused AdamW")), None)
    mark = f"iter {last_iteration}:"
    end = next((at for at, line in lines if line.startswith(mark)), None)
    if begin is None or end is None:
        raise ValueError(
            f"the output holds no line 'using fused AdamW' or no line '{mark}'; its last lines: "
            + " | ".join(line for _, line in lines[-3:])
        )
    return end - begin


def iteration_seconds(lines: Iterable[str], *, skip: int = 5) -> float:
    """Median time of an iteration by nanoGPT's own lines `iter 7: loss 3.1, time 95.00ms, ...`."""
    found = [
        float(line.split("time ", 1)[1].split("ms", 1)[0]) / 1000
        for line in lines
        if line.startswith("iter ") and "time " in line
    ]
    if len(found) <= skip:
        raise ValueError(f"{len(found)} iterations were timed; expected more than {skip}")
    return statistics.median(found[skip:])
