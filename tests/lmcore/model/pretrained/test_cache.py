"""What is kept of lanes is picked, joined and padded as one value."""

import torch

from lmcore.model.pretrained.cache import CacheState


def state(*sizes: int) -> CacheState:
    """Lanes with windows of these sizes, one layer with keys and one with a constant state."""
    most = max(sizes)
    numbers = torch.arange(len(sizes) * most)
    return CacheState(
        window=numbers.view(len(sizes), most),
        filled=torch.tensor(sizes),
        names=((0, "keys", 0), (1, "conv_states", 0)),
        kept=(
            numbers.float().view(len(sizes), 1, most, 1),
            torch.arange(len(sizes) * 6.0).view(len(sizes), 2, 3),
        ),
    )


def test_lanes_of_other_lengths_stand_side_by_side_right_aligned() -> None:
    joined = state(2).beside([state(4, 3)])
    assert (joined.num_lanes, joined.num_places) == (3, 4)
    assert joined.filled.tolist() == [2, 4, 3]
    assert joined.window[0].tolist() == [0, 0, 0, 1]
    assert joined.kept[0][0, 0, :, 0].tolist() == [0, 0, 0, 1]
    assert joined.kept[1].shape == (3, 2, 3)
    picked = joined.select([2, 0])
    assert picked.filled.tolist() == [3, 2]
    assert torch.equal(picked.kept[1][0], state(4, 3).kept[1][1])


def test_places_of_no_use_are_taken_off_again() -> None:
    short = state(2).beside([state(4, 3)]).select([0]).with_places(2)
    assert torch.equal(short.window, state(2).window)
    assert torch.equal(short.kept[0], state(2).kept[0])
    assert short.grows
    assert not CacheState.fresh(3).grows


def test_nothing_read_is_no_memory_but_the_counts() -> None:
    assert CacheState.fresh(3).nbytes == 3 * 8
    assert CacheState.fresh(2).beside([CacheState.fresh(1)]).num_lanes == 3
