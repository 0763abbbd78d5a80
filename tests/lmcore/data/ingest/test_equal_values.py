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
    found = distinct(table, scratch)
    first = {value: row for row, value in reversed(list(enumerate(values)))}
    assert found.first.tolist() == [first[value] for value in values]
    assert [values[row] for row in found.in_order] == sorted(first)
    assert found.in_order.tolist() == [first[value] for value in sorted(first)]
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
    ways = [distinct(table, Scratch(tmp_path, memory=memory)) for memory in (1 << 30, 20_000)]
    assert ways[0].first.tolist() == ways[1].first.tolist()
    assert ways[0].in_order.tolist() == ways[1].in_order.tolist()
    assert (ways[0].first[2_500:] < 2_500).all()
