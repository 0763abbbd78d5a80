"""States: tensors by lane that are cut, joined and carried as one value."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.model.recurrent.states import (
    AttentionRing,
    AttentionState,
    LayerStates,
    LstmState,
    PointerRing,
    PointerState,
    RecurrenceState,
)
from lmcore.model.state import State

VOCAB = 11
CLOSE = {"atol": 2e-5, "rtol": 1e-4}


def make_model(pattern: str, *, pointer: bool = False) -> RecurrentAttentionLM:
    """A small model with random weights everywhere."""
    config = ModelConfig(
        pattern=pattern, d_model=16, num_heads=2, head_dim=4, window=5, pointer=pointer
    )
    torch.manual_seed(0)
    model = RecurrentAttentionLM(config, VOCAB, VOCAB - 1)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3)
    return model.eval()


def make_state(lanes: int, *, window: int = 3) -> LayerStates:
    """One layer of each kind, every number another."""
    numbers = iter(range(10_000))

    def tensor(*shape: int) -> torch.Tensor:
        count = torch.Size((lanes, *shape)).numel()
        return torch.tensor([next(numbers) for _ in range(count)]).view(lanes, *shape).float()

    valid = (torch.arange(lanes * window).view(lanes, window) % 2).bool()
    return LayerStates(
        layers=(
            LstmState(hidden=tensor(4), cell=tensor(4)),
            AttentionState(keys=tensor(2, window, 4), values=tensor(2, window, 4), valid=valid),
            RecurrenceState(hidden=tensor(4), recent=tensor(2, 4)),
            PointerState(
                keys=tensor(window, 4),
                tokens=tensor(window).long(),
                before=tensor(4),
                valid=~valid,
            ),
        )
    )


def equal(first: State, second: State) -> bool:
    kinds = [[type(layer) for layer in state.layers] for state in (first, second)]
    pairs = zip(first.tensors(), second.tensors(), strict=True)
    return kinds[0] == kinds[1] and all(torch.equal(one, other) for one, other in pairs)


@torch.no_grad()
def test_state_selects_moves_and_concatenates_lanes() -> None:
    model = make_model("LAL", pointer=True)
    tokens = torch.randint(0, VOCAB, (3, 9), generator=torch.Generator().manual_seed(5))
    tokens[0, 4] = VOCAB - 1  # a document starts here
    state = model(tokens)[1]
    probe = torch.tensor([[1, 2], [3, 4]])
    selected = model(probe, state.select([2, 0]))[0]
    alone = [model(probe[i : i + 1], model(tokens[j : j + 1])[1])[0] for i, j in ((0, 2), (1, 0))]
    assert torch.allclose(selected, torch.cat(alone), **CLOSE)
    joined = State.concatenate([state.select([0]), state.select([1, 2])])
    assert all(torch.equal(a, b) for a, b in zip(joined.tensors(), state.tensors(), strict=True))
    assert state.to("cpu").nbytes == state.nbytes == 3 * state.select([0]).nbytes


def test_truncation_cuts_the_gradient() -> None:
    model = make_model("LA")
    state = model(torch.tensor([[1, 2, 3]]))[1]
    assert any(tensor.requires_grad for tensor in state.tensors())
    assert not any(tensor.requires_grad for tensor in state.detach().tensors())


def test_tensors_come_in_the_order_in_which_they_are_put_back() -> None:
    state = make_state(2)
    assert len(state.tensors()) == 2 + 3 + 2 + 4
    assert equal(state.replaced(state.tensors()), state)
    zeros = state.replaced([torch.zeros_like(tensor) for tensor in state.tensors()])
    assert not any(tensor.any() for tensor in zeros.tensors())
    assert equal(zeros, state.map(torch.zeros_like))


def test_lanes_may_be_picked_in_any_order_and_twice() -> None:
    state = make_state(3)
    picked = state.select([2, 0, 2])
    for chosen, tensor in zip(picked.tensors(), state.tensors(), strict=True):
        assert torch.equal(chosen, torch.stack([tensor[2], tensor[0], tensor[2]]))
    assert equal(state.select(torch.tensor([2, 0, 2])), picked)
    assert [tensor.shape[0] for tensor in state.select([]).tensors()] == [0] * 11


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
@settings(deadline=None, max_examples=25)
def test_lanes_that_were_parted_join_to_what_they_were(sizes: list[int]) -> None:
    state = make_state(sum(sizes))
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    parts = [
        state.select(range(start, start + size)) for start, size in zip(starts, sizes, strict=True)
    ]
    assert equal(State.concatenate(parts), state)
    assert sum(part.nbytes for part in parts) == state.nbytes


def test_memory_by_hand() -> None:
    floats = (4 + 4) + 2 * 2 * 3 * 4 + (4 + 2 * 4) + (3 * 4 + 4)
    assert make_state(1).nbytes == 4 * floats + 8 * 3 + 2 * 3
    assert make_state(5).nbytes == 5 * make_state(1).nbytes


def test_a_ring_without_places_keeps_what_is_no_ring() -> None:
    state = make_state(2)
    short = state.without_places()
    assert short.layers[0] is state.layers[0]
    assert short.layers[2] is state.layers[2]
    ring, pointer = short.layers[1], short.layers[3]
    assert isinstance(ring, AttentionState)
    assert isinstance(pointer, PointerState)
    assert (ring.keys.shape, ring.values.shape) == ((2, 2, 0, 4), (2, 2, 0, 4))
    assert (pointer.keys.shape, pointer.tokens.shape) == ((2, 0, 4), (2, 0))
    assert ring.valid.shape == pointer.valid.shape == (2, 0)
    assert torch.equal(pointer.before, state.layers[3].before)  # type: ignore[union-attr]


def test_places_are_added_in_front_and_hold_nothing() -> None:
    _, ring, _, pointer = make_state(2, window=3).layers
    assert isinstance(ring, AttentionState)
    assert isinstance(pointer, PointerState)
    for layer in (ring, pointer):
        assert layer.with_places(3) is layer
        wide = layer.with_places(5)
        assert type(wide) is type(layer)
        assert not wide.valid[:, :2].any()
        assert torch.equal(wide.valid[:, 2:], layer.valid)
        assert torch.equal(wide.keys[..., 2:, :], layer.keys)
        assert not wide.keys[..., :2, :].any()
    assert torch.equal(ring.with_places(5).values[:, :, 2:], ring.values)
    assert torch.equal(pointer.with_places(5).tokens[:, 2:], pointer.tokens)
    assert torch.equal(pointer.with_places(5).before, pointer.before)


def places_of_rings(state: LayerStates) -> list[int]:
    """Where the keys of each ring lie in memory."""
    rings = [layer for layer in state.layers if isinstance(layer, AttentionRing | PointerRing)]
    return [ring.keys.data_ptr() for ring in rings]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), before=st.integers(0, 7))
def test_groups_follow_in_place_what_they_would_hold_as_copies(data, before):
    model = make_model("RAL", pointer=True)
    size, groups = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    draw = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    with torch.inference_mode():
        _, state = model(torch.randint(0, VOCAB, (groups, before + 1), generator=draw))
        state = model.stepping(state).select(torch.arange(groups).repeat_interleave(size))
        places = places_of_rings(state)
        for _ in range(data.draw(st.integers(1, 9))):
            _, state = model(torch.randint(0, VOCAB, (groups * size, 1), generator=draw), state)
            kept = sorted(data.draw(st.sets(st.integers(0, groups - 1), min_size=1)))
            parents = torch.randint(0, size, (len(kept), size), generator=draw)
            copied = State.regroup(state, kept, parents)
            state, groups = state.regroup(kept, parents), len(kept)
            assert equal(state, copied)
            assert places_of_rings(state) == places
