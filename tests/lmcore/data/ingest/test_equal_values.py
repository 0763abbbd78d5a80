"""Rows of one value: as a mapping would find them, whatever the memory."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.copies.scratch import Scratch
from lmcore.data.ingest.equal_values import distinct

# Some begin with the same eight bytes, and only the rest tells them apart.
VALUES = st.lists(
    st.tuples(st.sampled_from([b"\0" * 8, b"a" * 8, b"\xff" * 8]), st.integers(0, 3)).map(
        lambda pair: pair[0] + pair[1].to_bytes(8, "big")
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=60)
@given(VALUES, st.sampled_from([1 << 20, 2_000]))
def test_the_first_row_of_each_value_is_found(
    tmp_path_factory: pytest.TempPathFactory, values: list[bytes], memory: int
) -> None:
    scratch = Scratch(tmp_path_factory.getbasetemp(), memory=memory)
    table = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), 16)
    in_order = np.full(len(values), -1)
    found = distinct(table, scratch, in_order=in_order)
    first = {value: row for row, value in reversed(list(enumerate(values)))}
    assert found.first.tolist() == [first[value] for value in values]
    assert found.number == len(first)
    rows_in_order = [first[value] for value in sorted(first)]
    assert in_order.tolist() == rows_in_order + [-1] * (len(values) - len(first))
    assert distinct(table, scratch).first.tolist() == found.first.tolist()
    assert found.shared(scratch).tolist() == [values.count(value) > 1 for value in values]
    rows = slice(len(values) // 3, len(values))
    assert found.is_first(rows).tolist() == [
        first[values[row]] == row for row in range(rows.start, rows.stop)
    ]


def test_many_values_are_sorted_on_disk(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    table = rng.integers(0, 4, (5_000, 16)).astype(np.uint8)
    table[:, 8:] = 0
    table[2_500:] = table[:2_500]
    orders = [np.zeros(5_000, np.int64) for _ in range(2)]
    ways = [
        distinct(table, Scratch(tmp_path, memory=memory), in_order=order)
        for memory, order in zip((1 << 30, 20_000), orders, strict=True)
    ]
    assert ways[0].first.tolist() == ways[1].first.tolist()
    assert orders[0].tolist() == orders[1].tolist()
    assert (ways[0].first[2_500:] < 2_500).all()
