"""Texts that share a band come together and in order, with their signatures, from disk."""

from collections.abc import Callable

import numpy as np
import pytest

from lmcore.data.copies.bands import bands_on_disk
from lmcore.data.copies.deduplication import NUM_BANDS, NUM_MINIMA, Signatures
from lmcore.data.copies.scratch import Scratch

MakeScratch = Callable[..., Scratch]


def _signatures(count: int) -> Signatures:
    """Every third shares its first band with others, nearly all the last."""
    rng = np.random.default_rng(0)
    found = rng.integers(0, 1 << 16, (count, NUM_MINIMA), dtype=np.uint16)
    found[::3, :4] = np.arange(len(found[::3]))[:, None] // 5
    found[2:, -4:] = 7
    return found


@pytest.mark.parametrize("memory", [0, 20_000, 1 << 20])
@pytest.mark.parametrize("cache", [0, 1 << 40])
def test_groups_are_whole_in_order_and_have_their_signatures(
    make_scratch: MakeScratch, memory: int, cache: int
) -> None:
    count = 200
    signatures = _signatures(count)
    order = np.random.default_rng(1).permutation(count).astype(np.uint64)
    words = signatures.view(np.uint64)
    scratch = make_scratch(memory, cache)
    num_bands = 0
    for band, groups in enumerate(bands_on_disk(signatures, order, scratch)):
        num_bands += 1
        found: list[list[int]] = []
        for members, first in groups:
            rows = members.rows.astype(np.int64)
            assert (members.look(np.arange(len(rows))) == signatures[rows]).all()
            starts = [0] if first is None else np.flatnonzero(first).tolist()
            found += [part.tolist() for part in np.split(rows, starts[1:])] if len(rows) else []
        expected: dict[int, list[int]] = {}
        for row in np.lexsort((order, words[:, band])).tolist():
            expected.setdefault(int(words[row, band]), []).append(row)
        assert [rows for rows in found if len(rows) > 1] == [
            rows for _, rows in sorted(expected.items()) if len(rows) > 1
        ]
    assert num_bands == NUM_BANDS
