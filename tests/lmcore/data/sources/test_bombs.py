"""The meter of what unpacks: a small file may grow, a bomb stops."""

import pytest

from lmcore.data.sources.bombs import FREE_BYTES, MAX_RATIO, BombError, Meter, allowed_bytes


def test_the_meter_allows_the_ratio_and_no_more() -> None:
    consumed = FREE_BYTES // MAX_RATIO * 2
    meter = Meter(lambda: consumed)
    meter.add(consumed * MAX_RATIO)
    with pytest.raises(BombError, match="200 times"):
        meter.add(1)
    Meter(lambda: 1).add(FREE_BYTES)


def test_a_small_file_may_grow_to_a_fixed_size() -> None:
    assert allowed_bytes(0) == allowed_bytes(1000) == FREE_BYTES
    assert allowed_bytes(FREE_BYTES) == FREE_BYTES * MAX_RATIO
