"""Prompts that were read before: what they left is kept for who asks the same again.

In: a prompt as token ids, with whom it may be shared.  Out: the state after its longest beginning
that is kept, and how long that is.  Several answers of one prompt, a conversation's fixed
beginning, a request that is sent again: each is read once.

Beginnings are kept at the ends of the chunks in which prompts are read, and of whole prompts; so
what is read behind them is read in the same chunks as without them, and an answer is the same to
the last bit.  A short one fills few places of the rings that a state has; the empty ones are made
again instead of kept.  How fast an answer comes tells that its prompt was read before, so nothing
is shared between those who must not learn that of each other.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

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


class _Filled(NamedTuple):
    """A tensor without the empty places in front and behind: zeros along its last axis but one.

    Attributes:
        places: What stands between them, in memory of its own.
        front: Empty places before those.
        behind: And after them.
    """

    places: Tensor
    front: int
    behind: int

    @classmethod
    def of(cls, tensor: Tensor) -> _Filled:
        if tensor.dim() < 2 or not tensor.numel():
            return cls(tensor.clone(), 0, 0)
        size = tensor.shape[-2]
        by_place = tensor.movedim(-2, 0).clone(memory_format=torch.contiguous_format)
        # By its bytes: a minus zero is not empty.
        found = by_place.view(-1).view(torch.uint8).view(size, -1).any(dim=1).nonzero()
        front, end = (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 0)
        return cls(tensor[..., front:end, :].clone(), front, size - end)

    def tensor(self) -> Tensor:
        """The whole."""
        if not self.front and not self.behind:
            return self.places
        return functional.pad(self.places, (0, 0, self.front, self.behind))


class _Kept:
    """A beginning as it is kept: nothing in it is what a model may go on reading in, nor a view."""

    def __init__(self, beginning: Beginning) -> None:
        self._tokens, self.logits = beginning.tokens, beginning.logits
        self._form = beginning.state.map(lambda tensor: tensor.new_empty(0))
        self._filled = [_Filled.of(tensor) for tensor in beginning.state.tensors()]
        self.nbytes = sum(filled.places.nbytes for filled in self._filled)
        self.nbytes += 0 if self.logits is None else self.logits.nbytes

    def beginning(self) -> Beginning:
        """The same; nobody changes its state."""
        state = self._form.replaced([filled.tensor() for filled in self._filled])
        return Beginning(tokens=self._tokens, state=state, logits=self.logits)


class ReadBefore:
    """The beginnings that were asked for last.

    Args:
        chunk_tokens: Tokens that are read at once.
        most_bytes: Of all that is kept.
    """

    def __init__(self, *, chunk_tokens: int, most_bytes: int) -> None:
        self._chunk, self._most = chunk_tokens, most_bytes
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
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
                return found.beginning()
        return None

    def keep(self, name: bytes, beginning: Beginning) -> None:
        """Keep one, unless it is larger than all may be; those not asked for longest go."""
        kept = _Kept(beginning)
        if kept.nbytes > self._most:
            return
        before = self._kept.pop(name, None)
        self.nbytes += kept.nbytes - (before.nbytes if before else 0)
        self._kept[name] = kept
        while self.nbytes > self._most:
            self.nbytes -= self._kept.popitem(last=False)[1].nbytes
