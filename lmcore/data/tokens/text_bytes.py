"""Which bytes of a text each of its tokens stands for.

In come the lengths of the tokens' byte strings; out come lengths that sum to those of the text.
They are the same where the tokenizer gives the text back.  One that came with another model may
put a space before each text, or change what it reads; bits per byte are of the text all the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def own_bytes(sizes: IntArray, num_bytes: int) -> IntArray:
    """Bytes of the text that each token stands for, [T]; they sum to `num_bytes`.

    Where tokens stand for one byte more than there are, that is a space before the text.  Where a
    tokenizer changed the text, each stands for its share.

    Args:
        sizes: Bytes of each token's byte string, [T].
        num_bytes: UTF-8 bytes of the text.
    """
    total = int(sizes.sum())
    if total == num_bytes or not total:
        return sizes
    ends = np.cumsum(sizes, dtype=np.int64)
    ends = np.maximum(ends - 1, 0) if total == num_bytes + 1 else ends * num_bytes // total
    return np.diff(ends, prepend=0)
