"""Keys and values with room ahead, so that a token is written behind the others and copies none.

In: what layers keep of each lane.  Out: the same with places behind it, of which one after the
other is written as texts go on; what was kept before a token stays what it was.

Who goes on from a state takes the place behind it, once: a second continuation of the same state
finds it taken and gets a copy.  So no two of them ever write into one place.

Legend: B lanes, H heads, P places kept, D width.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch
from torch import Tensor

# Room is at most so many places, or this part of what is kept, and what makes a round number.
_LEAST = 64
_PART = 4
# With such numbers of places each head's begin where wide loads of a processor do.
_ROUND = 16

_TAKING = threading.Lock()


class Room:
    """Tensors with free places behind what is kept.

    Args:
        kept: Of the layers, [B, H, P, D] each, at least one; they are copied.
    """

    def __init__(self, kept: Sequence[Tensor]) -> None:
        self._end = kept[0].shape[2]
        self._size = size_for(self._end)
        self._tensors = [_with_room(tensor, self._size) for tensor in kept]

    @property
    def nbytes(self) -> int:
        """Memory in bytes, free places included."""
        return sum(tensor.nbytes for tensor in self._tensors)

    def take(self, place: int) -> bool:
        """Whether a place is the first that nobody took; then it is the caller's."""
        # What was made without any gradient in mind may not be written where there could be one.
        closed = self._tensors[0].is_inference() and not torch.is_inference_mode_enabled()
        with _TAKING:
            if closed or place != self._end or place == self._size:
                return False
            self._end += 1
            return True

    def write(self, index: int, place: int, new: Tensor) -> Tensor:
        """Write into a place that was taken.

        Args:
            index: Of the tensor.
            place: Which.
            new: Of one token of each lane, [B, H, 1, D].

        Returns:
            All up to this place, [B, H, place + 1, D].
        """
        whole = self._tensors[index]
        whole.narrow(2, place, 1).copy_(new)
        return whole.narrow(2, 0, place + 1)


def room_behind(kept: Sequence[Tensor], room: Room | None) -> Room:
    """A room in which the place behind what is kept is the caller's.

    Args:
        kept: Of the layers, [B, H, P, D] each, at least one.
        room: Of which they are the first places; None: of none.
    """
    place = kept[0].shape[2]
    if room is None or not room.take(place):
        room = Room(kept)
        taken = room.take(place)
        assert taken, "a new room has a free place"
    return room


def size_for(places: int) -> int:
    """Places of a new room for so many that are kept."""
    most = places + max(_LEAST, places // _PART)
    return -(-most // _ROUND) * _ROUND


def _with_room(tensor: Tensor, size: int) -> Tensor:
    lanes, heads, places, width = tensor.shape
    whole = tensor.new_empty(lanes, heads, size, width)
    whole.narrow(2, 0, places).copy_(tensor)
    return whole
