"""Sums over clusters of texts that hang on the very same anchors, and so move together.

In: what each text hangs on, and which texts count.  Out: documents and bytes of each cluster, at
the place of its first row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lmcore.data.copies.scratch import Scratch
from lmcore.data.ingest.anchors import Anchors
from lmcore.data.ingest.mapped_columns import Mask, blocks
from lmcore.data.ingest.staged_texts import StagedTexts

#: Tells of some rows which are wanted.
Wanted = Callable[[slice], Mask]


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Documents and bytes of clusters, each at the place of its first row, shape [rows]."""

    documents: npt.NDArray[np.uint32]
    bytes: npt.NDArray[np.int64]


class Clusters:
    """Clusters of texts.

    Args:
        texts: All of them.
        anchors: What each hangs on.
        scratch: Where arrays may lie.
    """

    def __init__(self, texts: StagedTexts, anchors: Anchors, scratch: Scratch) -> None:
        self._texts, self._anchors, self._scratch = texts, anchors, scratch
        self._first = anchors.same().first

    def sums(self, wanted: Wanted) -> Sums:
        """Documents and bytes of those texts that are wanted."""
        documents = self._scratch.array(len(self._first), np.uint32)
        size = self._scratch.array(len(self._first), np.int64)
        for block in blocks(len(self._first)):
            mask = wanted(block)
            first = self._first[block][mask]
            np.add.at(documents, first, 1)
            np.add.at(size, first, self._texts.sizes[block][mask])
        return Sums(documents=documents, bytes=size)

    def marked(self, wanted: Wanted) -> Mask:
        """The first rows of the clusters that hold a text that is wanted, shape [rows]."""
        marked: Mask = self._scratch.array(len(self._first), np.bool_)
        for block in blocks(len(self._first)):
            marked[self._first[block][wanted(block)]] = True
        return marked

    def on_one_anchor(self, sums: Sums, left_out: Mask) -> Iterator[tuple[int, int]]:
        """First row and documents of clusters that hang on one anchor and have any documents.

        Args:
            sums: Of their documents.
            left_out: First rows of clusters that are passed over.
        """
        for block in blocks(len(self._first)):
            some = np.flatnonzero((sums.documents[block] > 0) & ~left_out[block])
            for place in some.tolist():
                row = block.start + place
                if row not in self._anchors.several:
                    yield row, int(sums.documents[row])

    def first_of(self, cluster: int, wanted: Wanted) -> int:
        """The first text of a cluster that is wanted; there must be one."""
        for block in blocks(len(self._first)):
            own = (self._first[block] == cluster) & wanted(block)
            if own.any():
                return int(block.start) + int(np.argmax(own))
        raise IndexError(cluster)
