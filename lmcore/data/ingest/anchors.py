"""What each text hangs on: ids of the documents that founded its clusters, nearly always one.

A text with several hangs on all of them; these few are kept in memory, all else in arrays that may
be on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from lmcore.data.copies.scratch import Scratch
from lmcore.data.ingest.equal_values import Distinct, distinct
from lmcore.data.ingest.mapped_columns import Bytes, Mask, blocks
from lmcore.data.ingest.split import ID_BYTES, split_anchors


class Anchors:
    """Anchors of rows.

    Attributes:
        first: The smallest one of each row, shape [rows, ID_BYTES].
        hangs: Whether a row has any yet, shape [rows].
        several: All anchors of a row that has several, the smallest first.

    Args:
        rows: How many there are.
        scratch: Where the arrays are.
    """

    def __init__(self, rows: int, scratch: Scratch) -> None:
        self._scratch = scratch
        self.first: Bytes = scratch.array(rows * ID_BYTES, np.uint8).reshape(rows, ID_BYTES)
        self.hangs: Mask = scratch.array(rows, np.bool_)
        self.several: dict[int, bytes] = {}

    def __getitem__(self, row: int) -> bytes | None:
        if not self.hangs[row]:
            return None
        return self.several.get(row) or self.first[row].tobytes()

    def __setitem__(self, row: int, anchors: bytes) -> None:
        self.hang([row], [anchors])

    def hang(self, rows: Sequence[int], anchors: Sequence[bytes]) -> None:
        """Hang several rows, each on its own anchors."""
        if not rows:
            return
        firsts = b"".join([value[:ID_BYTES] for value in anchors])
        self.first[rows] = np.frombuffer(firsts, np.uint8).reshape(len(rows), ID_BYTES)
        self.hangs[rows] = True
        for row, value in zip(rows, anchors, strict=True):
            if len(value) > ID_BYTES:
                self.several[row] = value

    def of(self, row: int) -> list[bytes]:
        """The anchors of a row, one by one, the smallest first."""
        return split_anchors(self[row] or b"")

    def found_clusters(self, ids: Bytes) -> None:
        """Let each row that hangs on nothing found a cluster: hang on its own id.

        Args:
            ids: Shape [rows, ID_BYTES].
        """
        for block in blocks(len(ids)):
            alone = ~self.hangs[block]
            self.first[block][alone] = ids[block][alone]
            self.hangs[block] = True

    def same(self) -> Distinct:
        """Which rows have the very same anchors."""
        if not self.several:
            return distinct(self.first, self._scratch)
        # A hash of several is no id.
        values = self._scratch.array(self.first.size, np.uint8).reshape(self.first.shape)
        for block in blocks(len(values)):
            values[block] = self.first[block]
        for row, anchors in self.several.items():
            hashed = hashlib.sha256(b"several" + anchors).digest()
            values[row] = np.frombuffer(hashed, np.uint8)
        return distinct(values, self._scratch)
