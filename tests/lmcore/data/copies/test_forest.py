"""What hangs together by pairs, whatever their order, number at a time and memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.copies.forest import Forest, groups
from lmcore.data.copies.scratch import Scratch

MakeScratch = Callable[..., Scratch]
Components = Callable[[int, Any], list[int]]


def _joined(size: int, pairs: list[tuple[int, int]], together: int, scratch: Scratch) -> Forest:
    forest = Forest(size, scratch)
    for start in range(0, len(pairs), together):
        left, right = np.array(pairs[start : start + together], dtype=np.int64).T
        forest.join(left, right)
    return forest


@settings(deadline=None)
@given(st.data(), st.integers(1, 60), st.integers(1, 50), st.sampled_from([0, 1 << 20]))
def test_roots_are_the_smallest_rows_that_hang_together(
    make_scratch: MakeScratch,
    components: Components,
    data: st.DataObject,
    size: int,
    together: int,
    memory: int,
) -> None:
    row = st.integers(0, size - 1)
    pairs = data.draw(st.lists(st.tuples(row, row), max_size=100))
    scratch = make_scratch(memory)
    roots = _joined(size, pairs, together, scratch).roots()
    expected = components(size, pairs)
    assert roots.tolist() == expected
    alike = {root: [r for r in range(size) if expected[r] == root] for root in sorted(expected)}
    assert [rows.tolist() for rows in groups(roots, scratch)] == [
        rows for rows in alike.values() if len(rows) > 1
    ]


def test_long_chains_and_stars_are_joined_in_a_few_steps(scratch: Scratch) -> None:
    size = 200_000
    rows = np.arange(size)
    shuffled = np.random.default_rng(0).permutation(size)
    for left, right in [
        (rows[:-1], rows[1:]),
        (rows[1:], rows[:-1]),
        (shuffled[:-1], shuffled[1:]),
        (np.full(size, size - 1), rows),
    ]:
        forest = Forest(size, scratch)
        forest.join(left, right)
        assert not forest.roots().any()


def test_joins_after_the_roots_were_asked_for_count(scratch: Scratch) -> None:
    forest = Forest(4, scratch)
    forest.join(np.array([3]), np.array([2]))
    assert forest.roots().tolist() == [0, 1, 2, 2]
    forest.join(np.array([3]), np.array([0]))
    assert forest.roots().tolist() == [0, 1, 0, 0]


def test_a_row_takes_four_bytes(scratch: Scratch) -> None:
    assert Forest(10, scratch).roots().itemsize == 4
