"""Attention over a window of the past, with rotary positions, inside one document.

Legend: B lanes, T tokens, W window, H heads, D width of a head, d width of the model.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmcore.model.config import ModelConfig
from lmcore.model.recurrent.boundaries import Boundaries
from lmcore.model.recurrent.states import AttentionRing, AttentionState, LayerState

_ROTARY_BASE = 10_000.0
# Queries that attend in one call at least; fewer would not keep a core busy.
_LEAST_BAND = 128
# What is added to a score.
_SEEN, _HIDDEN = torch.tensor(0.0), torch.tensor(-math.inf)


class AttentionMixer(nn.Module):
    """Causal attention to at most `window` earlier tokens of the same document.

    Queries and keys are normalised (Henry et al. 2020) and rotated by their distance
    (Su et al. 2021): keys are kept unrotated, so no position ever overflows. The ring of
    keys and values has a fixed size, so memory does not grow with the text.
    """

    def __init__(self, input_size: int, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads, self.head_dim = config.num_heads, config.head_dim
        self.window = config.window
        width = self.num_heads * self.head_dim
        self.qkv = nn.Linear(input_size, 3 * width, bias=False)
        self.out = nn.Linear(width, config.d_model, bias=False)
        self.query_gain = nn.Parameter(torch.ones(self.head_dim))
        self.key_gain = nn.Parameter(torch.ones(self.head_dim))
        nn.init.normal_(self.qkv.weight, std=input_size**-0.5)
        nn.init.zeros_(self.out.weight)

    def fresh_state(self, batch_size: int, *, device: torch.device) -> AttentionState:
        """An empty ring."""
        shape = (batch_size, self.num_heads, self.window, self.head_dim)
        return AttentionState(
            keys=torch.zeros(shape, device=device),
            values=torch.zeros(shape, device=device),
            valid=torch.zeros(batch_size, self.window, dtype=torch.bool, device=device),
        )

    def forward(
        self, x: Tensor, state: LayerState, boundaries: Boundaries
    ) -> tuple[Tensor, LayerState]:
        """See `Mixer`."""
        if isinstance(state, AttentionRing):
            valid = state.valid & (boundaries.carried > 0)
            y, after = self.step(x[:, 0], state._replace(valid=valid))
            return y[:, None], after
        assert isinstance(state, AttentionState)
        num_lanes, length, _ = x.shape
        ring = state.valid.shape[1]
        query, new_keys, new_values = self._project(x)
        keys = torch.cat([state.keys.to(new_keys.dtype), new_keys], dim=2)
        values = torch.cat([state.values.to(new_values.dtype), new_values], dim=2)
        # Starts since the ring was filled, so the ring belongs to count 0.
        counts = functional.pad(boundaries.documents, (ring, 0))
        filled = functional.pad(state.valid, (0, length), value=True)
        # A long chunk is cut into bands, so that its cost grows with T and not with its square.
        band = max(self.window, _LEAST_BAND)
        y = torch.cat(
            [
                self._band(query, keys, values, counts, filled, slice(start, start + band))
                for start in range(0, length, band)
            ],
            dim=2,
        )
        y = y.transpose(1, 2).reshape(num_lanes, length, -1)
        current = filled & (counts == counts[:, -1:])
        kept = AttentionState(
            keys=keys[:, :, -self.window :].float(),
            values=values[:, :, -self.window :].float(),
            valid=current[:, -self.window :],
        )
        return self.out(y), kept.with_places(self.window)

    def stepping(self, state: LayerState) -> AttentionRing:
        """See `Mixer`."""
        assert isinstance(state, AttentionState)
        state = state.with_places(self.window)
        turn = _rotation(self.window, self.head_dim, device=state.keys.device)
        return AttentionRing(
            keys=functional.pad(_rotate(state.keys, turn), (0, 0, 0, 1)),
            values=functional.pad(state.values, (0, 0, 0, 1)),
            valid=functional.pad(state.valid, (0, 1)),
            read=torch.full((len(state.valid),), self.window, device=state.valid.device),
        )

    def step(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """See `Stepper`: written over the oldest, with nothing moved and nothing rotated again."""
        assert isinstance(state, AttentionRing)
        lanes, slots = state.valid.shape
        parts = self.qkv(x).view(lanes, 3, self.num_heads, self.head_dim)
        turned = _turned(self._normed(parts[:, :2]), *_angles(state.read, self.head_dim))
        place = state.read.remainder(slots)[:, None]
        first = _first_rows(lanes, self.num_heads, int(slots), device=x.device)
        row = (first + place).flatten()
        keys, values = state.keys.view(-1, self.head_dim), state.values.view(-1, self.head_dim)
        keys.index_copy_(0, row, turned[:, 1].reshape(-1, self.head_dim).float())
        values.index_copy_(0, row, parts[:, 2].reshape(-1, self.head_dim).float())
        state.valid.scatter_(1, place, value=1)
        query = turned[:, 0, :, None]
        y = _attend(
            query, state.keys.to(query.dtype), state.values.to(query.dtype), state.valid[:, None]
        )
        return self.out(y.view(lanes, -1)), state._replace(read=state.read + 1)

    def weights(self, x: Tensor, boundaries: Boundaries) -> Tensor:
        """How much each token of a chunk reads of each, from the fresh state.

        Args:
            x: [B, T, d].
            boundaries: Where documents start.

        Returns:
            Shares [B, H, T, T], float32; a row is a reader, and its shares sum to one.
        """
        length = x.shape[1]
        query, keys, _ = self._project(x)
        turn = _rotation(length, self.head_dim, device=x.device)
        counts = boundaries.documents
        same = counts[:, :, None] == counts[:, None, :]
        visible = same & near(self.window, length, device=x.device)[:, self.window :]
        scores = _rotate(query, turn) @ _rotate(keys, turn).transpose(2, 3)
        scores = scores.float() * self.head_dim**-0.5
        shares: Tensor = scores.masked_fill(~visible[:, None], -math.inf).softmax(dim=-1)
        return shares

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, [B, H, T, D] each; nothing is rotated yet."""
        num_lanes, length, _ = x.shape
        parts = self.qkv(x).view(num_lanes, length, 3, self.num_heads, self.head_dim)
        normed = self._normed(parts[:, :, :2])
        query, keys = normed.permute(2, 0, 3, 1, 4).unbind(0)
        return query, keys, parts[:, :, 2].transpose(1, 2)

    def _normed(self, both: Tensor) -> Tensor:
        """Queries and keys normalised, [..., 2, H, D]."""
        gains = torch.stack([self.query_gain, self.key_gain])[:, None]
        return functional.rms_norm(both, (self.head_dim,)) * gains

    def _band(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        counts: Tensor,
        filled: Tensor,
        rows: slice,
    ) -> Tensor:
        """What some queries of the chunk read, [B, H, rows, D].

        Args:
            query: [B, H, T, D].
            keys: The ring and the chunk, [B, H, R + T, D], R at most W.
            values: The same.
            counts: Document starts before each key, int64 [B, R + T].
            filled: Whether a key is there at all, [B, R + T].
            rows: Which queries.
        """
        ring = keys.shape[2] - query.shape[2]
        query = query[:, :, rows]
        length = query.shape[2]
        # Keys before the first of these queries that they can see.
        earlier = min(self.window, ring + rows.start)
        first = ring + rows.start - earlier
        reach = slice(first, first + earlier + length)
        counts, filled = counts[:, reach], filled[:, reach]
        same = counts[:, earlier:, None] == counts[:, None, :]
        within = near(self.window, length, device=query.device)[:, self.window - earlier :]
        turn = _rotation(earlier + length, self.head_dim, device=query.device)
        return _attend(
            _rotate(query, turn[earlier:]),
            _rotate(keys[:, :, reach], turn),
            values[:, :, reach],
            within & same & filled[:, None, :],
        )


def _rotation(length: int, head_dim: int, *, device: torch.device) -> Tensor:
    """What `_turned` takes for each position, [length, 2, head_dim]; do not change it."""
    return _rotation_table(_room(length), head_dim, device=device)[:length]


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)  # the table outlives the call, which training may follow
def _rotation_table(length: int, head_dim: int, *, device: torch.device) -> Tensor:
    exponent = torch.arange(0, head_dim, 2, device=device, dtype=torch.float32) / head_dim
    position = torch.arange(length, device=device, dtype=torch.float32)
    angle = torch.outer(position, _ROTARY_BASE**-exponent)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.cat([cos, cos], dim=1), torch.cat([-sin, sin], dim=1)], dim=1)


def near(window: int, length: int, *, device: torch.device) -> Tensor:
    """Which keys lie within the window of each query, [T, W + T]; do not change it."""
    return _near_table(window, _room(length), device=device)[:length, : window + length]


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)
def _near_table(window: int, length: int, *, device: torch.device) -> Tensor:
    key = torch.arange(window + length, device=device)
    distance = key[window:, None] - key
    return (distance >= 0) & (distance <= window)


def _room(length: int) -> int:
    """Rows of the table that this many are taken from: texts of all lengths share few tables."""
    return 1 << max(0, int(length) - 1).bit_length()


def _rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Rotate pairs of features [B, H, L, D] by their position's angles."""
    return _turned(x, turn[:, 0], turn[:, 1])


def _angles(numbers: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
    """What `_turned` takes for the tokens of these numbers [B], [B, 1, 1, head_dim] each.

    In float64 the angle of any token of a text is exact to the last bit that a cosine has.
    """
    angles = numbers[:, None, None, None, None] * _frequencies(head_dim, device=numbers.device)
    return angles[:, 0].cos().float(), angles[:, 1].sin().float()


@functools.lru_cache(maxsize=8)
@torch.inference_mode(False)
def _frequencies(head_dim: int, *, device: torch.device) -> Tensor:
    """Angle between neighbours, float64 [2, 1, 1, head_dim]; do not change it.

    First for the cosines of both halves of a head, then for their sines, of which one is negative.
    """
    exponent = torch.arange(0, head_dim, 2, device=device, dtype=torch.float64) / head_dim
    half = _ROTARY_BASE**-exponent
    return torch.stack([torch.cat([half, half]), torch.cat([-half, half])])[:, None, None]


def _first_rows(lanes: int, heads: int, slots: int, *, device: torch.device) -> Tensor:
    """Where each ring begins if all slots stand below each other, [lanes, heads]."""
    return _first_rows_table(_room(lanes), heads, slots, device=device)[:lanes]


@functools.lru_cache(maxsize=64)
@torch.inference_mode(False)
def _first_rows_table(lanes: int, heads: int, slots: int, *, device: torch.device) -> Tensor:
    return torch.arange(0, lanes * heads * slots, slots, device=device).view(lanes, heads)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn pairs of features [..., D], of which one stands in each half.

    Args:
        x: What is turned.
        cos: Of the angle of each feature, [..., D].
        sin: The same, negative in the first half.
    """
    plain = x.float()
    swapped = plain.view(*x.shape[:-1], 2, -1).flip(-2).view(x.shape)
    turned: Tensor = plain * cos + swapped * sin
    return turned.to(x.dtype)


def _attend(query: Tensor, keys: Tensor, values: Tensor, visible: Tensor) -> Tensor:
    """Softmax attention; every query sees at least itself.

    For chunks of a few hundred tokens on a CPU the plain formula is up to twice as fast as
    the fused kernel, which pays off where the scores would not fit into fast memory.
    """
    mask = visible[:, None]
    if query.is_cuda:
        return functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    num_lanes, num_heads, length, width = query.shape
    bias = torch.where(mask, _SEEN.to(query.dtype), _HIDDEN.to(query.dtype))
    bias = bias.expand(-1, num_heads, -1, -1).flatten(0, 1)
    scores = torch.baddbmm(
        bias, query.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2), alpha=width**-0.5
    )
    y = torch.bmm(torch.softmax(scores, dim=-1), values.flatten(0, 1))
    return y.view(num_lanes, num_heads, length, width)
