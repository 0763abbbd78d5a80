"""The parts of a residual block: mixers over time, the MLP, locked dropout.

A mixer takes features [B, T, d], the state before them and the document starts, and
returns features and the state after them. Adding one means: a class with the
methods of `Mixer`, an entry in `MIXERS`, a letter in `lmcore.model.config.LETTERS`, and
a state of its own in `lmcore.model.state`.

Legend: B lanes, T tokens, W window, H heads, D width of a head, d width of the model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmcore.model.config import ModelConfig
from lmcore.model.packed import PackedLinear, PackedLstm, can_pack
from lmcore.model.recurrent.attention import AttentionMixer
from lmcore.model.recurrent.boundaries import Boundaries, gate_columns
from lmcore.model.recurrent.recurrence import RecurrenceMixer
from lmcore.model.recurrent.states import LayerState, LstmState


class Mixer(Protocol):
    """What mixes information over time inside a block."""

    def fresh_state(self, batch_size: int, *, device: torch.device) -> LayerState:
        """State before any text."""
        ...

    def stepping(self, state: LayerState) -> LayerState:
        """The same state for reading one token at a time, which may be written into it."""
        ...

    def __call__(
        self, x: Tensor, state: LayerState, boundaries: Boundaries
    ) -> tuple[Tensor, LayerState]:
        """Read a chunk [B, T, in]; returns [B, T, d] and the state after it."""
        ...


@runtime_checkable
class Stepper(Protocol):
    """A mixer that reads one token in each lane with as few operations as that takes."""

    def step(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Read tokens [B, in] that start no document, without gradient; returns [B, d].

        The state, of `Mixer.stepping`, is used up; the one after it is returned, too.
        """
        ...


class LstmMixer(nn.Module):
    """One fused LSTM layer that restarts at each document (Hochreiter and Schmidhuber 1997)."""

    def __init__(self, input_size: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden_size = config.d_model
        self.lstm = nn.LSTM(input_size, config.d_model, batch_first=True)
        input_weight, hidden_weight, input_bias, hidden_bias = self.lstm.parameters()
        nn.init.normal_(input_weight, std=input_size**-0.5)
        for gate in hidden_weight.chunk(4):
            nn.init.orthogonal_(gate)
        nn.init.zeros_(input_bias)
        nn.init.zeros_(hidden_bias)
        with torch.no_grad():
            input_bias.chunk(4)[1].fill_(1.0)  # the forget gate: remember by default
        self.packed: PackedLinear | None = None
        self.packed_layer: PackedLstm | None = None

    def settle(self) -> None:
        """Have both matrices of a step read in one product; nothing learns any more."""
        input_weight, hidden_weight, input_bias, hidden_bias = self.lstm.parameters()
        if can_pack(input_weight):
            with torch.no_grad():
                both = torch.cat([input_weight, hidden_weight], dim=1)
                self.packed = PackedLinear(both, input_bias + hidden_bias)
                self.packed_layer = PackedLstm(self.lstm)

    def fresh_state(self, batch_size: int, *, device: torch.device) -> LstmState:
        """Zeros."""
        zeros = torch.zeros(batch_size, self.hidden_size, device=device)
        return LstmState(hidden=zeros, cell=zeros)

    def stepping(self, state: LayerState) -> LayerState:
        """See `Mixer`."""
        return state

    def forward(
        self, x: Tensor, state: LayerState, boundaries: Boundaries
    ) -> tuple[Tensor, LstmState]:
        """See `Mixer`."""
        assert isinstance(state, LstmState)
        carried = boundaries.carried
        hidden, cell = state.hidden * carried, state.cell * carried
        if x.shape[1] == 1 and not torch.is_grad_enabled():
            y, after = self.step(x[:, 0], LstmState(hidden=hidden, cell=cell))
            return y[:, None], after
        hidden, cell = hidden[None], cell[None]
        if boundaries.splice is None:
            layer = self.lstm if self.packed_layer is None else self.packed_layer
            y, (_, cell) = layer(x, (hidden, cell))
        else:
            y, cell = self._spliced(boundaries.splice.insert(x), hidden, cell)
            y = boundaries.splice.remove(y)
        # After a splice the last step may be a holding one, so the hidden state comes from y.
        return y, LstmState(hidden=y[:, -1].float(), cell=cell[0].float())

    def step(self, x: Tensor, state: LayerState) -> tuple[Tensor, LstmState]:
        """See `Stepper`."""
        assert isinstance(state, LstmState)
        if self.packed is None:
            # The fused layer repacks its weights on each call: six times the cost of one step.
            hidden, cell = torch.lstm_cell(x, (state.hidden, state.cell), *self.lstm.parameters())
        else:
            size = self.hidden_size
            gates = self.packed(torch.cat([x, state.hidden], dim=1))
            enter_keep = gates[:, : 2 * size].sigmoid_()
            new = gates[:, 2 * size : 3 * size].tanh_().mul_(enter_keep[:, :size])
            cell = (enter_keep[:, size:] * state.cell).add_(new)
            hidden = cell.tanh().mul_(gates[:, 3 * size :].sigmoid_())
        return hidden, LstmState(hidden=hidden, cell=cell)

    def _spliced(self, x: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        input_weight, *others = self.lstm.parameters()
        flags = gate_columns(self.hidden_size, like=input_weight)
        weights = [torch.cat([input_weight, flags], dim=1), *others]
        y, _, cell = torch.lstm(
            x, (hidden, cell), weights, True, 1, 0.0, self.training, False, True
        )
        return y, cell


class Mlp(nn.Module):
    """Two layers with a squared ReLU between them (So et al. 2021)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.mlp_multiple * config.d_model
        self.up = nn.Linear(config.d_model, width, bias=False)
        self.down = nn.Linear(width, config.d_model, bias=False)
        nn.init.normal_(self.up.weight, std=config.d_model**-0.5)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, d] -> [B, T, d]."""
        y: Tensor = self.down(functional.relu(self.up(x)).square())
        return y


MIXERS: dict[str, Callable[[int, ModelConfig], LstmMixer | RecurrenceMixer | AttentionMixer]] = {
    "L": LstmMixer,
    "R": RecurrenceMixer,
    "A": AttentionMixer,
}


class LaneGenerator(torch.Generator):
    """Randomness of a process that reads some of the lanes of a step.

    What depends on the lane is drawn for all lanes and the own rows are taken, so that many
    processes drop what one would.

    Attributes:
        lanes: Rows of this process.
        num_lanes: Rows of all processes.
    """

    lanes: slice
    num_lanes: int


def locked_dropout(x: Tensor, *, rate: float, rng: torch.Generator | None) -> Tensor:
    """Drop the same features at each of the T positions (Gal and Ghahramani 2016).

    Args:
        x: [B, T, d].
        rate: Share of features that become zero; the others are scaled up.
        rng: Source of randomness; None means no dropout.
    """
    if rng is None or rate <= 0.0:
        return x
    part = rng if isinstance(rng, LaneGenerator) else None
    keep = torch.empty(part.num_lanes if part else x.shape[0], 1, x.shape[2], device=x.device)
    keep.bernoulli_(1.0 - rate, generator=rng)
    keep = keep[part.lanes] if part else keep
    return x * (keep / (1.0 - rate)).to(x.dtype)
