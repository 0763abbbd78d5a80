"""Prompts that were read before: what they left is kept for who asks the same again.

In: a prompt as token ids, with whom it may be shared.  Out: the state after its longest beginning
that is kept, and how long that is.  Several answers of one prompt, a conversation's fixed
beginning, a request that is sent again: each is read once.

Beginnings are kept at the ends of the chunks in which prompts are read, and of whole prompts; so
what is read behind them is read in the same chunks as without them, and an answer is the same to
the last bit.  How fast an answer comes tells that its prompt was read before, so nothing is shared
between those who must not learn that of each other.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lmcore.model.state import State


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """A beginning that was read.

    Attributes:
        tokens: How many tokens it has.
        state: After them, one lane; nobody changes it.
        logits: Of the next token, [1, V]; None where more followed.
    """

    tokens: int
    state: State
    logits: Tensor | None

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self.state.nbytes + (0 if self.logits is None else self.logits.nbytes)


class ReadBefore:
    """The beginnings that were asked for last.

    Args:
        chunk_tokens: Tokens that are read at once.
        most_bytes: Of all that is kept.
    """

    def __init__(self, *, chunk_tokens: int, most_bytes: int) -> None:
        self._chunk, self._most = chunk_tokens, most_bytes
        self._kept: OrderedDict[bytes, Beginning] = OrderedDict()
        self.nbytes = 0

    def names(self, ids: Sequence[int], *, shared_with: str) -> list[bytes]:
        """What the beginnings of a prompt are called, one for each chunk."""
        digest = hashlib.sha256(shared_with.encode() + b"\0")
        found = []
        for start in range(0, len(ids), self._chunk):
            digest.update(np.array(ids[start : start + self._chunk], dtype=np.int64).tobytes())
            found.append(digest.copy().digest())
        return found

    def longest(self, names: Sequence[bytes]) -> Beginning | None:
        """The longest beginning that is kept; the whole prompt only with its logits."""
        for place in reversed(range(len(names))):
            found = self._kept.get(names[place])
            if found is not None and (place < len(names) - 1 or found.logits is not None):
                self._kept.move_to_end(names[place])
                return found
        return None

    def keep(self, name: bytes, beginning: Beginning) -> None:
        """Keep one, unless it is larger than all may be; those not asked for longest go."""
        if beginning.nbytes > self._most:
            return
        # Without what it is a view into, which would be kept and not counted; and a model may go on
        # reading in the memory that it read in.
        beginning = replace(beginning, state=beginning.state.map(torch.clone))
        before = self._kept.pop(name, None)
        self.nbytes += beginning.nbytes - (before.nbytes if before else 0)
        self._kept[name] = beginning
        while self.nbytes > self._most:
            self.nbytes -= self._kept.popitem(last=False)[1].nbytes
