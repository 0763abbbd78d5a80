"""Records come back in order, whatever the memory; groups are never parted."""

from collections.abc import Callable, Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.copies.external_sort import SortedRecords, in_order, whole_groups
from lmcore.data.copies.scratch import Records, Scratch

MakeScratch = Callable[..., Scratch]
MEMORIES = st.sampled_from([0, 400, 1_500, 1 << 20])
# Few values are many equal ones; large ones use all bits.
VALUES = st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1))


def _array(records: list[tuple[int, ...]], columns: int) -> Records:
    return np.array(records, dtype=np.uint64).reshape(-1, columns)


def _in_blocks(records: Records, cuts: list[int]) -> Iterator[Records]:
    yield from np.split(records, sorted(min(cut, len(records)) for cut in cuts))


@settings(deadline=None)
@given(st.data(), st.integers(1, 3), MEMORIES, st.lists(st.integers(0, 200), max_size=5))
def test_records_come_back_in_order(
    make_scratch: MakeScratch, data: st.DataObject, columns: int, memory: int, cuts: list[int]
) -> None:
    given_records = data.draw(st.lists(st.tuples(*[VALUES] * columns), max_size=200))
    sorting = SortedRecords(make_scratch(memory), columns=columns)
    for block in _in_blocks(_array(given_records, columns), cuts):
        sorting.add(block)
    found = [tuple(record) for chunk in sorting.chunks() for record in chunk.tolist()]
    assert found == sorted(given_records)


def test_chunks_stay_small_even_where_all_records_begin_alike(make_scratch: MakeScratch) -> None:
    rng = np.random.default_rng(0)
    records = rng.integers(0, 2**63, (50_000, 3), dtype=np.uint64)
    records[10_000:, 0] = 7
    scratch = make_scratch(100_000)
    sorting = SortedRecords(scratch, columns=3)
    sorting.add(records)
    chunks = list(sorting.chunks())
    assert max(chunk.nbytes for chunk in chunks) <= scratch.memory / 4
    assert len(chunks) < 200
    assert (np.concatenate(chunks) == in_order(records)).all()


def test_what_comes_in_order_needs_no_merging(make_scratch: MakeScratch) -> None:
    scratch = make_scratch(100_000)
    records = np.arange(50_000, dtype=np.uint64).reshape(-1, 1)
    sorting = SortedRecords(scratch, columns=1)
    sorting.add(records)
    chunks = list(sorting.chunks())
    # As many as there is memory for: runs of which only the first has what comes next would give
    # a part of a window each time.
    assert len(chunks) == -(-50_000 // len(chunks[0])) < 30
    assert (np.concatenate(chunks) == records).all()


def test_what_was_added_may_change_afterwards(make_scratch: MakeScratch) -> None:
    sorting = SortedRecords(make_scratch(1 << 20), columns=1)
    block = np.array([[3], [1]], dtype=np.uint64)
    sorting.add(block)
    block[:] = 0
    assert np.concatenate(list(sorting.chunks())).ravel().tolist() == [1, 3]


def test_nothing_added_is_nothing(make_scratch: MakeScratch) -> None:
    assert list(SortedRecords(make_scratch(0), columns=2).chunks()) == []


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40), max_size=150),
    st.integers(0, 3),
    st.lists(st.integers(0, 150), max_size=8),
    MEMORIES,
)
def test_groups_are_whole_and_nothing_is_lost(
    make_scratch: MakeScratch, values: list[int], shift: int, cuts: list[int], memory: int
) -> None:
    records = _array([(value,) for value in sorted(values)], 1)
    found = list(
        whole_groups(_in_blocks(records, cuts), make_scratch(memory), columns=1, shift=shift)
    )
    assert [value for group in found for value in group.ravel().tolist()] == sorted(values)
    keys = [{value >> shift for value in group.ravel().tolist()} for group in found]
    assert all(keys)
    assert sum(map(len, keys)) == len(set().union(*keys))
