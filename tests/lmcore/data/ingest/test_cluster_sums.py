"""Sums over clusters: figures by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from lmcore.data.ingest import mapped_columns
from lmcore.data.ingest.anchors import Anchors
from lmcore.data.ingest.cluster_sums import Clusters
from lmcore.data.ingest.mapped_columns import Mask
from lmcore.data.ingest.staging import Staging

ONE, TWO = (bytes([value]) * 32 for value in (1, 2))
SIZES = [1, 2, 3, 4, 5, 6]


@pytest.fixture(params=[2, 1 << 16])
def clusters(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, stage: Callable[..., Staging]
) -> Clusters:
    """Rows 0, 3 and 5 hang on one anchor, 1 and 4 on another, 2 on both."""
    monkeypatch.setattr(mapped_columns, "_BLOCK", request.param)
    staging = stage(*(("x" * size, None) for size in SIZES))
    anchors = Anchors(6, staging.scratch)
    anchors.hang(range(6), [ONE, TWO, ONE + TWO, ONE, TWO, ONE])
    return Clusters(staging.texts, anchors, staging.scratch)


def _all(block: slice) -> Mask:
    return np.ones(block.stop - block.start, dtype=np.bool_)


def _even(block: slice) -> Mask:
    mask: Mask = np.arange(block.start, block.stop) % 2 == 0
    return mask


def test_what_is_wanted_is_summed_at_the_first_row(clusters: Clusters) -> None:
    sums = clusters.sums(_all)
    assert sums.documents.tolist() == [3, 2, 1, 0, 0, 0]
    assert sums.bytes.tolist() == [1 + 4 + 6, 2 + 5, 3, 0, 0, 0]
    even = clusters.sums(_even)
    assert even.documents.tolist() == [1, 1, 1, 0, 0, 0]
    assert even.bytes.tolist() == [1, 5, 3, 0, 0, 0]


def test_clusters_are_marked_by_any_of_their_texts(clusters: Clusters) -> None:
    marked = clusters.marked(lambda block: np.arange(block.start, block.stop) == 4)
    assert marked.tolist() == [False, True, False, False, False, False]
    # What hangs on several anchors is none of these clusters.
    assert list(clusters.on_one_anchor(clusters.sums(_all), marked)) == [(0, 3)]


def test_the_first_text_that_is_wanted(clusters: Clusters) -> None:
    assert clusters.first_of(0, _all) == 0
    assert clusters.first_of(0, lambda block: ~_even(block)) == 3
    with pytest.raises(IndexError):
        clusters.first_of(2, lambda block: ~_even(block))
