"""A text is compared with a few leaders, however many share its band; none of its pairs is lost."""

from collections.abc import Callable

import numpy as np
import pytest

from lmcore.data.copies import leaders
from lmcore.data.copies.clustering import cluster
from lmcore.data.copies.deduplication import NUM_BANDS, NUM_MINIMA, Signatures
from lmcore.data.copies.leaders import MAX_LEADERS, Members, alike, alike_in_large, begins
from lmcore.data.copies.scratch import Scratch

MakeScratch = Callable[..., Scratch]


def _families(*families: int) -> Signatures:
    """One signature a family, for each of its members."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 1 << 16, (max(families) + 1, NUM_MINIMA), dtype=np.uint16)
    return drawn[list(families)]


def _pairs(found: object) -> list[tuple[int, int]]:
    return [
        pair
        for left, right in found  # type: ignore[attr-defined]
        for pair in zip(left.tolist(), right.tolist(), strict=True)
    ]


def test_a_member_that_is_like_no_leader_becomes_one() -> None:
    signatures = _families(0, 1, 0, 2, 1, 1, 0)
    rows = np.array([6, 5, 4, 3, 2, 1, 0])
    keys = np.array([1, 1, 1, 1, 2, 2, 3])
    found = _pairs(alike(Members(rows=rows, signatures=signatures), begins(keys), needed=90))
    assert found == [(5, 4)]  # 6 and 3 are like none of their group, 2 and 1 unlike each other
    assert _pairs(
        alike(Members(rows=rows, signatures=signatures), begins(np.zeros(7)), needed=90)
    ) == [(6, 2), (6, 0), (5, 4), (5, 1)]


@pytest.mark.parametrize("own", [False, True])
def test_a_large_group_is_compared_like_any_other(make_scratch: MakeScratch, own: bool) -> None:
    rng = np.random.default_rng(1)
    signatures = _families(*rng.integers(0, 2 * MAX_LEADERS, 3_000).tolist())
    rows = rng.permutation(3_000)
    members = Members(rows=rows, signatures=signatures[rows] if own else signatures, own=own)
    together = alike(members, begins(np.zeros(3_000)), needed=90)
    large = alike_in_large(members, needed=90, scratch=make_scratch(0))
    assert _pairs(together) == _pairs(large) != []


def test_a_group_without_members_has_no_pairs(scratch: Scratch) -> None:
    nobody = Members(rows=np.zeros(0, dtype=np.int64), signatures=_families(0))
    assert _pairs(alike(nobody, np.zeros(0, dtype=bool), needed=90)) == []
    assert _pairs(alike_in_large(nobody, needed=90, scratch=scratch)) == []


@pytest.mark.parametrize("way", [(1 << 28, 0), (1 << 18, 1 << 40), (1 << 18, 0)])
def test_a_header_that_all_texts_share_costs_each_a_few_comparisons(
    make_scratch: MakeScratch, way: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    count, compared, agree = 5_000, 0, leaders._agree
    signatures = rng.integers(0, 1 << 16, (count, NUM_MINIMA), dtype=np.uint16)
    signatures[:, :8] = signatures[0, :8]
    signatures[1::50, 8:] = signatures[::50, 8:]

    def counting(one: Signatures, other: Signatures) -> object:
        nonlocal compared
        compared += max(len(one), len(other))
        return agree(one, other)

    monkeypatch.setattr(leaders, "_agree", counting)
    order = np.arange(count, dtype=np.uint64)
    found = cluster(signatures, order, similarity=0.7, scratch=make_scratch(*way))
    joined = np.flatnonzero(found.roots != np.arange(count))
    assert joined.tolist() == list(range(1, count, 50))
    # Two bands of the header; all pairs of texts would be 25 million.
    assert compared <= 2 * MAX_LEADERS * count + NUM_BANDS * count
