"""The parts of a block, each alone."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.boundaries import find_boundaries
from lmcore.model.recurrent.layers import MIXERS, LaneGenerator, LstmMixer, Mlp, locked_dropout

CPU = torch.device("cpu")
END = 9
CONFIG = ModelConfig(d_model=8, num_heads=1, head_dim=4, window=3)


def features(lanes: int, length: int) -> Tensor:
    return torch.randn(lanes, length, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def lstm() -> LstmMixer:
    torch.manual_seed(0)
    return LstmMixer(8, CONFIG).requires_grad_(False)


def test_shares_of_a_mask_are_rows_of_the_whole() -> None:
    x = torch.ones(6, 3, 8)
    whole = locked_dropout(x, rate=0.5, rng=torch.Generator().manual_seed(1))
    for lanes in (slice(0, 2), slice(2, 4), slice(4, 6)):
        rng = LaneGenerator("cpu")
        rng.manual_seed(1)
        rng.lanes, rng.num_lanes = lanes, 6
        assert torch.equal(locked_dropout(x[lanes], rate=0.5, rng=rng), whole[lanes])


def test_dropout_takes_the_same_features_at_each_position_and_keeps_the_sum() -> None:
    x = torch.ones(64, 5, 32)
    dropped = locked_dropout(x, rate=0.25, rng=torch.Generator().manual_seed(0))
    assert set(dropped.unique().tolist()) == {0.0, float(torch.tensor(1.0) / 0.75)}
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0], dropped[1])
    # The standard deviation of the mean of 2,048 features is 0.013.
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.06)


def test_without_randomness_or_a_rate_nothing_is_dropped() -> None:
    x = features(2, 3)
    assert locked_dropout(x, rate=0.5, rng=None) is x
    rng = torch.Generator().manual_seed(0)
    before = rng.get_state()
    assert locked_dropout(x, rate=0.0, rng=rng) is x
    assert torch.equal(rng.get_state(), before)


def test_the_mlp_squares_what_is_above_zero() -> None:
    mlp = Mlp(ModelConfig(d_model=8, mlp_multiple=1))
    x = torch.tensor([[[-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 0.5, -0.5]]])
    assert not mlp(x).any()  # a new one adds nothing
    with torch.no_grad():
        mlp.up.weight.copy_(torch.eye(8))
        mlp.down.weight.copy_(torch.eye(8) * 2)
    assert mlp(x).tolist() == [[[0.0, 0.0, 0.0, 2.0, 8.0, 18.0, 0.5, 0.0]]]


def test_a_new_lstm_remembers_by_default(lstm: LstmMixer) -> None:
    _, hidden_weight, input_bias, hidden_bias = lstm.lstm.parameters()
    assert input_bias.view(4, 8).tolist() == [[0.0] * 8, [1.0] * 8, [0.0] * 8, [0.0] * 8]
    assert not hidden_bias.any()
    for gate in hidden_weight.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8))


@given(
    starts=st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=3),
)
@settings(deadline=None, max_examples=40)
def test_each_document_is_read_by_the_lstm_as_if_it_were_alone(
    lstm: LstmMixer, starts: list[list[bool]]
) -> None:
    lanes = len(starts)
    x = features(lanes, 7)
    tokens = torch.where(torch.tensor(starts), END, 1)
    fresh = lstm.fresh_state(lanes, device=CPU)
    before = type(fresh)(*(torch.full_like(tensor, 3.0) for tensor in fresh))
    y, after = lstm(x, before, find_boundaries(tokens, end_id=END))
    for lane in range(lanes):
        cuts = sorted({0, 7, *(place for place in range(7) if starts[lane][place])})
        for start, stop in itertools.pairwise(cuts):
            state = fresh if starts[lane][start] else before
            plain = (tensor[None, lane : lane + 1] for tensor in state)
            alone, (hidden, cell) = lstm.lstm(x[lane : lane + 1, start:stop], tuple(plain))
            torch.testing.assert_close(y[lane, start:stop], alone[0])
        torch.testing.assert_close(after.hidden[lane], hidden[0, 0])
        torch.testing.assert_close(after.cell[lane], cell[0, 0])


@pytest.mark.parametrize("start", [False, True])
def test_one_step_of_generation_is_one_step_of_training(lstm: LstmMixer, start: bool) -> None:
    x = features(2, 1)
    state = type(lstm.fresh_state(2, device=CPU))(features(1, 2)[0], features(1, 2)[0] + 1)
    boundaries = find_boundaries(torch.tensor([[END if start else 1], [1]]), end_id=END)
    fused, after_fused = lstm(x, state, boundaries)
    with torch.no_grad():
        step, after = lstm(x, state, boundaries)
    torch.testing.assert_close(step, fused)
    torch.testing.assert_close(tuple(after), tuple(after_fused))


@pytest.mark.parametrize("letter", sorted(MIXERS))
def test_every_mixer_keeps_the_shape_of_its_input_and_of_its_state(letter: str) -> None:
    mixer = MIXERS[letter](8, CONFIG)
    state = mixer.fresh_state(2, device=CPU)
    tokens = torch.tensor([[1, END, 1, 1], [1, 1, 1, 1]])
    y, after = mixer(features(2, 4), state, find_boundaries(tokens, end_id=END))
    assert y.shape == (2, 4, 8)
    assert type(after) is type(state)
    assert [tensor.shape for tensor in after] == [tensor.shape for tensor in state]
    assert [tensor.dtype for tensor in after] == [tensor.dtype for tensor in state]
