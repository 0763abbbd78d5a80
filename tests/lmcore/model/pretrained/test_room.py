"""Tokens are written behind what is kept, and nobody writes where another goes on."""

import pytest
import torch

from lmcore.model.pretrained.room import Room, room_behind, size_for


def kept(places: int) -> list[torch.Tensor]:
    """Keys and values of two lanes, two heads and a width of three."""
    numbers = torch.arange(2 * 2 * places * 3.0).view(2, 2, places, 3)
    return [numbers, -numbers]


def token(number: float) -> torch.Tensor:
    return torch.full((2, 2, 1, 3), number)


def test_what_is_written_is_what_joining_would_give() -> None:
    found, joined, room = kept(4), kept(4), None
    for number in range(200):
        place = found[0].shape[2]
        room = room_behind(found, room)
        found = [room.write(index, place, token(number + index)) for index in (0, 1)]
        joined = [torch.cat([joined[index], token(number + index)], 2) for index in (0, 1)]
        assert all(torch.equal(one, other) for one, other in zip(found, joined, strict=True))


def test_who_comes_second_gets_a_copy() -> None:
    first = room_behind(kept(4), None)
    shared = [first.write(index, 4, token(0)) for index in (0, 1)]
    one = room_behind(shared, first)
    other = room_behind(shared, first)
    assert one is first
    assert other is not first
    found = [room.write(0, 5, token(number)) for room, number in ((one, 1), (other, 2))]
    assert [x[0, 0, 5, 0].item() for x in found] == [1, 2]
    assert torch.equal(found[0][:, :, :5], found[1][:, :, :5])
    # Nor may who stands further back go on in what others have written.
    assert not first.take(4)
    assert room_behind(kept(4), first) is not first


def test_a_place_that_was_taken_and_never_written_is_not_taken_again() -> None:
    room = room_behind(kept(4), None)
    assert room_behind(kept(4), room) is not room


@pytest.mark.parametrize("places", [1, 5, 64, 255, 256, 1000, 4096])
def test_room_is_bounded_by_what_is_kept(places: int) -> None:
    size = size_for(places)
    assert places + 16 <= size <= places + max(64, places // 4) + 15
    assert Room(kept(places)).nbytes == 2 * 2 * 2 * size * 3 * 4


def test_a_full_room_is_left_for_a_larger_one() -> None:
    room = Room(kept(1))
    size = size_for(1)
    assert all(room.take(place) for place in range(1, size))
    assert not room.take(size)
    assert Room(kept(size)).nbytes > room.nbytes


def test_what_was_made_for_reading_alone_is_copied_where_more_may_follow() -> None:
    with torch.inference_mode():
        room = Room(kept(4))
    with torch.no_grad():
        other = room_behind(kept(4), room)
        assert other is not room
        other.write(0, 4, token(1))
    with torch.inference_mode():
        assert room.take(4)
