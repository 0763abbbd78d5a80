"""A gated linear recurrence: the mixer `R` (RG-LRU; De et al. 2024, arXiv:2402.19427).

The state decays feature by feature, h_t = a_t h_{t-1} + b_t, with gates that read the input
only. So the matrix products of all T tokens are one call each, and what is left is a scan of T
cheap steps. Its backward is the same scan run the other way; autograd through a loop would keep
T small tensors for each of its operations.

Legend: B lanes, T tokens, d width of the model, K taps of the short convolution.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.boundaries import Boundaries
from lmcore.model.recurrent.states import LayerState, RecurrenceState

_TAPS = 4
_DECAY_SCALE = 8.0
# Decay at a fully open gate, uniform at the start between these.
_SLOWEST, _FASTEST = 0.999, 0.9
# Keeps the slope of sqrt(1 - a^2) below 500 where a comes near to 1.
_LEAST_INPUT = 1e-6


class LinearScan(torch.autograd.Function):
    """h_t = a_t h_{t-1} + b_t over the first axis.

    Args (of `apply`):
        a: Decays [T, B, d].
        b: Inputs [T, B, d].
        before: h_{-1}, [B, d].

    Returns:
        h, [T, B, d].
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, before: Tensor) -> Tensor:
        """Scan from the first step to the last."""
        h = scan(a, b, before)
        ctx.save_for_backward(a, h, before)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """With g_t = dh_t + a_{t+1} g_{t+1}: da_t = g_t h_{t-1}, db_t = g_t, dh_{-1} = a_0 g_0."""
        a, h, before = ctx.saved_tensors
        # Entry i of the reversed scan is step T - 1 - i, whose decay is that of the step after it.
        decays = torch.cat([torch.zeros_like(a[:1]), a.flip(0)[:-1]])
        g = scan(decays, grad.flip(0), torch.zeros_like(before)).flip(0)
        return g * torch.cat([before[None], h[:-1]]), g, a[0] * g[0]


def scan(a: Tensor, b: Tensor, before: Tensor) -> Tensor:
    """See `LinearScan`; without gradient.

    A CPU takes the steps one by one, which is the least work. A GPU, where each call costs as much
    as thousands of sums, doubles the distance log2(T) times (Hillis and Steele 1986).
    """
    if a.is_cuda:
        return _doubling(a, b, before)
    h = torch.empty_like(b)
    for step, (decay, new) in enumerate(zip(a.unbind(0), b.unbind(0), strict=True)):
        before = torch.addcmul(new, decay, before, out=h[step])
    return h


def _doubling(a: Tensor, b: Tensor, before: Tensor) -> Tensor:
    h = torch.cat([(b[0] + a[0] * before)[None], b[1:]])
    distance = 1
    while distance < len(a):
        h = torch.cat([h[:distance], torch.addcmul(h[distance:], a[distance:], h[:-distance])])
        a = torch.cat([a[:distance], a[distance:] * a[:-distance]])
        distance *= 2
    return h


class RecurrenceMixer(nn.Module):
    """Short convolution, gated linear recurrence, and a branch that gates its output."""

    def __init__(self, input_size: int, config: ModelConfig) -> None:
        super().__init__()
        width = config.d_model
        self.width = width
        # The gates are block-diagonal: each head's features decide about themselves.
        blocks = width // config.head_dim if width % config.head_dim == 0 else 1
        block = width // blocks
        self.branches = nn.Linear(input_size, 2 * width, bias=False)
        self.taps = nn.Parameter(torch.zeros(_TAPS, width))
        self.gates = nn.Parameter(torch.empty(blocks, block, 2 * block))
        self.gate_bias = nn.Parameter(torch.zeros(blocks, 1, 2 * block))
        self.decay = nn.Parameter(torch.empty(width))
        self.out = nn.Linear(width, width, bias=False)
        nn.init.normal_(self.branches.weight, std=input_size**-0.5)
        nn.init.normal_(self.gates, std=block**-0.5)
        nn.init.zeros_(self.out.weight)
        nn.init.uniform_(self.decay, _FASTEST, _SLOWEST)
        with torch.no_grad():
            self.taps[-1] = 1.0  # begin with the token itself
            self.decay.copy_(torch.expm1(-self.decay.log() / _DECAY_SCALE).log())

    def fresh_state(self, batch_size: int, *, device: torch.device) -> RecurrenceState:
        """Zeros."""
        return RecurrenceState(
            hidden=torch.zeros(batch_size, self.width, device=device),
            recent=torch.zeros(batch_size, _TAPS - 1, self.width, device=device),
        )

    def stepping(self, state: LayerState) -> LayerState:
        """See `lmcore.model.recurrent.layers.Mixer`."""
        return state

    def forward(
        self, x: Tensor, state: LayerState, boundaries: Boundaries
    ) -> tuple[Tensor, RecurrenceState]:
        """See `lmcore.model.recurrent.layers.Mixer`."""
        assert isinstance(state, RecurrenceState)
        num_lanes, length, _ = x.shape
        branch, u = self.branches(x).chunk(2, dim=-1)
        u, recent = self._convolve(u, state.recent, boundaries.documents)
        blocks = len(self.gates)
        rows = u.reshape(num_lanes * length, blocks, -1).transpose(0, 1)
        gates = torch.baddbmm(self.gate_bias, rows, self.gates).transpose(0, 1).float().sigmoid()
        keep, new = (
            gate.reshape(num_lanes, length, -1)
            for gate in gates.view(num_lanes, length, blocks, 2, -1).unbind(3)
        )
        log_decay = -_DECAY_SCALE * functional.softplus(self.decay) * keep
        share = (-torch.expm1(2.0 * log_decay)).clamp(min=_LEAST_INPUT).sqrt()
        started = functional.pad(boundaries.documents, (1, 0)).diff(dim=1)[..., None] > 0
        decay = torch.where(started, 0.0, log_decay.exp())
        entering = torch.where(started, 1.0, share) * new * u.float()
        hidden = LinearScan.apply(  # type: ignore[no-untyped-call]
            decay.transpose(0, 1).contiguous(), entering.transpose(0, 1).contiguous(), state.hidden
        )
        y = hidden.transpose(0, 1).to(branch.dtype) * functional.gelu(branch, approximate="tanh")
        return self.out(y), RecurrenceState(hidden=hidden[-1], recent=recent)

    def _convolve(self, u: Tensor, recent: Tensor, documents: Tensor) -> tuple[Tensor, Tensor]:
        """Mix each feature with its last K - 1 values in the document, [B, T, d]; and the last."""
        length, past = u.shape[1], _TAPS - 1
        values = torch.cat([recent.to(u.dtype), u], dim=1)
        counts = functional.pad(documents, (past, 0))
        mixed = u * self.taps[-1].to(u.dtype)
        for tap in range(past):
            same = (counts[:, tap : tap + length] == documents)[..., None]
            shifted = values[:, tap : tap + length] * self.taps[tap].to(u.dtype)
            mixed = mixed + torch.where(same, shifted, 0.0)
        last = (counts[:, -past:] == documents[:, -1:])[..., None]
        return mixed, torch.where(last, values[:, -past:].float(), 0.0)
