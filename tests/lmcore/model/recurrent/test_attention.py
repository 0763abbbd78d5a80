"""Attention over a window: what is seen, how much of it, and what is remembered."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent import attention
from lmcore.model.recurrent.attention import AttentionMixer, near
from lmcore.model.recurrent.boundaries import Boundaries, find_boundaries
from lmcore.model.recurrent.states import AttentionState

CPU = torch.device("cpu")
END = 10
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def make_mixer(window: int) -> AttentionMixer:
    """Two heads of four features, with random weights everywhere."""
    torch.manual_seed(0)
    mixer = AttentionMixer(16, ModelConfig(d_model=16, num_heads=2, head_dim=4, window=window))
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.normal_()
    return mixer


def features(lanes: int, length: int) -> Tensor:
    return torch.randn(lanes, length, 16, generator=torch.Generator().manual_seed(2))


def starts(lanes: int, length: int, *places: tuple[int, int]) -> Boundaries:
    """Documents that start at these places (lane, position), and nowhere else."""
    tokens = torch.zeros(lanes, length, dtype=torch.long)
    for place in places:
        tokens[place] = END
    return find_boundaries(tokens, end_id=END)


@torch.no_grad()
def test_a_long_chunk_is_read_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    mixer = make_mixer(window=5)
    x = features(2, 40)
    boundaries = starts(2, 40, (0, 3), (0, 17), (1, 21), (1, 22), (1, 38))
    whole, after = mixer(x, mixer.fresh_state(2, device=CPU), boundaries)
    monkeypatch.setattr(attention, "_LEAST_BAND", 7)
    bands, after_bands = mixer(x, mixer.fresh_state(2, device=CPU), boundaries)
    torch.testing.assert_close(bands, whole, **CLOSE)
    for one, other in zip(after_bands, after, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@torch.no_grad()
def test_attention_looks_back_window_tokens_and_no_further() -> None:
    mixer = make_mixer(window=3)
    x = features(1, 12)
    changed = x.clone()
    changed[0, 2] += 1
    boundaries = starts(1, 12)
    first, second = (
        mixer(given, mixer.fresh_state(1, device=CPU), boundaries)[0] for given in (x, changed)
    )
    same = (first == second).all(-1)[0]
    assert same.tolist() == [True] * 2 + [False] * 4 + [True] * 6


@pytest.mark.parametrize("window", [3, 40])
@torch.no_grad()
def test_shares_of_values_are_what_the_layer_gives(window: int) -> None:
    mixer = make_mixer(window)
    x = features(2, 17)
    boundaries = starts(2, 17, (0, 5), (0, 11))
    y, _ = mixer(x, mixer.fresh_state(2, device=CPU), boundaries)
    values = (x @ mixer.qkv.weight.chunk(3)[2].T).view(2, 17, 2, 4).transpose(1, 2)
    read = mixer.weights(x, boundaries) @ values
    torch.testing.assert_close(mixer.out(read.transpose(1, 2).reshape(2, 17, 8)), y)


@torch.no_grad()
def test_a_query_without_direction_reads_all_that_it_sees_alike() -> None:
    mixer = make_mixer(window=2)
    mixer.query_gain.zero_()
    shares = mixer.weights(features(1, 6), starts(1, 6, (0, 3)))
    third = 1 / 3
    expected = [
        [1, 0, 0, 0, 0, 0],
        [0.5, 0.5, 0, 0, 0, 0],
        [third, third, third, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0.5, 0.5, 0],
        [0, 0, 0, third, third, third],
    ]
    torch.testing.assert_close(shares, torch.tensor([[expected, expected]]))


@torch.no_grad()
def test_only_the_distance_counts() -> None:
    mixer = make_mixer(window=4)
    shares = mixer.weights(features(1, 1).expand(1, 20, 16), starts(1, 20))[0]
    first = shares[:, 4, :5]
    assert not torch.allclose(first[:, 0], first[:, 4])
    for reader in range(5, 20):
        torch.testing.assert_close(shares[:, reader, reader - 4 : reader + 1], first, **CLOSE)


@given(
    window=st.integers(1, 9),
    cut=st.integers(1, 14),
    places=st.sets(st.tuples(st.integers(0, 1), st.integers(0, 14)), max_size=4),
)
@settings(deadline=None, max_examples=30)
@torch.no_grad()
def test_the_ring_carries_what_the_next_chunk_can_see(
    window: int, cut: int, places: set[tuple[int, int]]
) -> None:
    mixer = make_mixer(window)
    x = features(2, 15)
    state = mixer.fresh_state(2, device=CPU)
    whole, after = mixer(x, state, starts(2, 15, *places))
    early = [(lane, place) for lane, place in places if place < cut]
    late = [(lane, place - cut) for lane, place in places if place >= cut]
    first, state = mixer(x[:, :cut], state, starts(2, cut, *early))
    second, state = mixer(x[:, cut:], state, starts(2, 15 - cut, *late))
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole, **CLOSE)
    assert torch.equal(state.valid, after.valid)
    for one, other in ((state.keys, after.keys), (state.values, after.values)):
        seen = after.valid[:, None, :, None]
        torch.testing.assert_close(one * seen, other * seen, **CLOSE)


@torch.no_grad()
def test_the_ring_has_room_for_the_window_and_knows_what_is_of_this_document() -> None:
    mixer = make_mixer(window=4)
    state = mixer.fresh_state(2, device=CPU)
    assert [tuple(tensor.shape) for tensor in state] == [(2, 2, 4, 4), (2, 2, 4, 4), (2, 4)]
    assert not state.valid.any()
    _, state = mixer(features(2, 3), state, starts(2, 3, (1, 2)))
    assert isinstance(state, AttentionState)
    assert state.valid.tolist() == [[False, True, True, True], [False, False, False, True]]
    _, state = mixer(features(2, 2), state, starts(2, 2))
    assert state.valid.tolist() == [[True] * 4, [False, True, True, True]]
    _, after = mixer(features(2, 2), state.without_places(), starts(2, 2))
    assert after.valid.tolist() == [[False, False, True, True]] * 2


def test_what_is_near_by_hand() -> None:
    # Two keys of the ring, then the chunk's own three; a query sees itself and two before it.
    assert near(2, 3, device=CPU).int().tolist() == [
        [1, 1, 1, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 1, 1, 1],
    ]


@pytest.mark.parametrize("length", [1, 2, 3, 5, 64, 100])
def test_what_a_table_says_does_not_depend_on_how_long_it_is(length: int) -> None:
    longer = near(4, 128, device=CPU)
    assert torch.equal(near(4, length, device=CPU), longer[:length, : 4 + length])
    assert len(near(4, length, device=CPU)) == length
    assert torch.equal(
        attention._rotation(length, 8, device=CPU), attention._rotation(128, 8, device=CPU)[:length]
    )


def test_a_new_layer_adds_nothing_and_can_learn() -> None:
    torch.manual_seed(0)
    mixer = AttentionMixer(16, ModelConfig(d_model=16, num_heads=2, head_dim=4, window=3))
    x = features(1, 5)
    y, _ = mixer(x, mixer.fresh_state(1, device=CPU), starts(1, 5))
    assert not y.any()
    y.sum().backward()
    assert mixer.out.weight.grad is not None
    assert mixer.out.weight.grad.any()
