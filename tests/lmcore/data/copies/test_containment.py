"""Pairs of texts of which one holds much of the other, as SQL finds them, whatever the memory."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.data.copies.containment import Hashes, contained
from lmcore.data.copies.scratch import Scratch

MakeScratch = Callable[..., Scratch]


def _sketches(found: dict[int, set[int]]) -> list[Hashes]:
    """A few texts at a time."""
    pairs = [(row, value) for row, values in sorted(found.items()) for value in sorted(values)]
    rows, hashes = np.array(pairs or np.zeros((0, 2)), dtype=np.int64).T
    edges = np.flatnonzero(np.diff(rows // 7)) + 1
    return list(zip(np.split(rows, edges), np.split(hashes.astype(np.uint32), edges), strict=True))


def _by_sql(found: dict[int, set[int]], share: float, most: int) -> list[tuple[int, int]]:
    """The question as releases asked it that kept all sketches in a table."""
    with closing(sqlite3.connect(":memory:")) as work:
        work.execute("CREATE TABLE sketch (hash INTEGER, row INTEGER)")
        work.executemany(
            "INSERT INTO sketch VALUES (?, ?)",
            [(value, row) for row, hashes in found.items() for value in hashes],
        )
        work.execute("CREATE TABLE size AS SELECT row, count(*) AS size FROM sketch GROUP BY 1")
        work.execute(
            "CREATE TABLE shared AS SELECT hash FROM sketch GROUP BY hash"
            " HAVING count(*) BETWEEN 2 AND ?",
            (most,),
        )
        return sorted(
            work.execute(
                "SELECT p.a, p.b FROM (SELECT a.row AS a, b.row AS b, count(*) AS common"
                " FROM shared JOIN sketch a ON a.hash = shared.hash"
                " JOIN sketch b ON b.hash = a.hash AND b.row > a.row"
                " GROUP BY 1, 2 HAVING common >= 4) p"
                " JOIN size s ON s.row = p.a JOIN size t ON t.row = p.b"
                " WHERE p.common >= ? * min(s.size, t.size)",
                (share,),
            )
        )


def _pairs(
    sketches: list[Hashes], num_rows: int, scratch: Scratch, *, share: float, most: int
) -> list[tuple[int, int]]:
    found = contained(sketches, num_rows, share=share, scratch=scratch, most=most)
    return sorted(
        pair for left, right in found for pair in zip(left.tolist(), right.tolist(), strict=True)
    )


@settings(deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 40),
    st.sampled_from([0.3, 0.5, 0.75, 1.0]),
    st.sampled_from([2, 5, 50]),
    st.sampled_from([0, 1_000, 1 << 20]),
)
def test_pairs_are_those_of_before_whatever_the_memory(
    make_scratch: MakeScratch, seed: int, count: int, share: float, most: int, memory: int
) -> None:
    rng = np.random.default_rng(seed)
    passages = [rng.integers(0, 2**32, 12).tolist() for _ in range(6)]
    found: dict[int, set[int]] = {}
    for row in range(count):
        if rng.random() < 0.1:
            continue  # too short to have a sketch
        parts = rng.choice(6, int(rng.integers(1, 4)), replace=False)
        hashes = [value for part in parts for value in passages[part] if rng.random() < 0.8]
        found[row] = {*hashes, *rng.integers(0, 2**32, 8).tolist()}
    given_pairs = _pairs(_sketches(found), count, make_scratch(memory), share=share, most=most)
    assert given_pairs == _by_sql(found, share, most)


def test_what_very_many_texts_share_gives_no_pairs(make_scratch: MakeScratch) -> None:
    notice = set(range(0, 2**32, 2**28))
    found = {row: {*notice, row + 1} for row in range(3_000)}
    found[2_999] |= {(1 << 31) + value for value in range(60)}
    found[3] |= {(1 << 31) + value for value in range(50)}
    for memory in (100_000, 1 << 24):
        scratch = make_scratch(memory)
        assert _pairs(_sketches(found), 3_000, scratch, share=0.5, most=50) == [(3, 2_999)]
