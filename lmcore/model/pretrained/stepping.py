"""One token in each lane, computed as the library does and without what it costs to ask it.

A step of a small model is a thousand small operations, and in the library each is wrapped in calls
that cost as much as itself: of SmolLM2-135M a tenth of a step on two cores (`docs/experiments.md`).
Blocks of the commonest form (Llama: two norms, rotary attention, a gated MLP) are written out here,
with the same operations in the same order.  Whether a model's are of that form, its parts tell, and
then its answers, to the last bit (`lmcore.model.pretrained.ways.steps_alike`); all others are
asked as ever.

Legend: B lanes, H heads of queries, K heads of keys and values, P places kept, D width of a head,
d width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lmcore.model.pretrained.attention import ROWS_APART
from lmcore.model.pretrained.masks import sliding_window
from lmcore.model.pretrained.room import Room

_BODY = {"embed_tokens", "layers", "norm", "rotary_emb"}
_BLOCK = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
_ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
_MLP = {"gate_proj", "up_proj", "down_proj", "act_fn"}


@dataclass(frozen=True, kw_only=True)
class _Block:
    """Parts of a block; what multiplies is looked up by name, as it may be laid out anew."""

    whole: nn.Module
    first_norm: Any
    attention: Mapping[str, Any]
    head_dim: int
    scale: float
    second_norm: Any
    mlp: Mapping[str, Any]


class Step:
    """Steps of a model that `step_of` knows.

    Args:
        inner: The causal model of the library.
        blocks: Its blocks.
    """

    def __init__(self, inner: Any, blocks: Sequence[_Block]) -> None:
        self._inner, self._blocks = inner, blocks

    @property
    def fits(self) -> bool:
        """Whether the model is now what it was: others may look on, or read it otherwise."""
        return self._inner.config._attn_implementation == ROWS_APART and not any(
            block.whole._forward_pre_hooks or block.whole._forward_hooks for block in self._blocks
        )

    def __call__(
        self, ids: Tensor, past: Sequence[int], room: Room, place: int
    ) -> tuple[Tensor, list[Tensor]]:
        """Read one token in each lane.

        Args:
            ids: int64 [B, 1].
            past: Places before it that each sees, right-aligned.
            room: Where keys and values stand, of each block in turn.
            place: Where the new ones go, taken; P.

        Returns:
            Last states [B, 1, d], and what is kept now, [B, K, P + 1, D] each.
        """
        body = self._inner.base_model
        x = body.embed_tokens(ids)
        cos, sin = body.rotary_emb(x, position_ids=torch.tensor(past)[:, None])
        turn = _Turn(cos, sin)
        kept = []
        for index, block in enumerate(self._blocks):
            query, key, value = _projected(block, _normed(block.first_norm, x), turn)
            keys = room.write(2 * index, place, key)
            values = room.write(2 * index + 1, place, value)
            kept += [keys, values]
            found = _attended(query, keys, values, past, scale=block.scale)
            x = block.attention["o_proj"](found).add_(x)
            y, mlp = _normed(block.second_norm, x), block.mlp
            y = mlp["act_fn"](mlp["gate_proj"](y)).mul_(mlp["up_proj"](y))
            x = mlp["down_proj"](y).add_(x)
        return _normed(body.norm, x), kept


class _Turn:
    """By which angles heads are turned at the places of some tokens.

    Halves change places and one its sign; the sign is put on the sines, once for all blocks.

    Args:
        cos: [B, 1, D].
        sin: [B, 1, D].
    """

    def __init__(self, cos: Tensor, sin: Tensor) -> None:
        self._half = cos.shape[-1] // 2
        self._cos = cos[:, None]
        self._sin = torch.cat([-sin[..., : self._half], sin[..., self._half :]], dim=-1)[:, None]

    def __call__(self, x: Tensor) -> Tensor:
        """Turn [B, H, 1, D]."""
        swapped = torch.cat([x[..., self._half :], x[..., : self._half]], dim=-1)
        return (x * self._cos).add_(swapped.mul_(self._sin))


def _normed(norm: Any, x: Tensor) -> Tensor:
    return functional.rms_norm(x, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _projected(block: _Block, x: Tensor, turn: _Turn) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [B, H, 1, D], keys and values [B, K, 1, D]."""
    query, key, value = (
        block.attention[name](x).view(len(x), -1, 1, block.head_dim)
        for name in ("q_proj", "k_proj", "v_proj")
    )
    both = turn(torch.cat([query, key], dim=1))
    heads = query.shape[1]
    return both[:, :heads], both[:, heads:], value


def _attended(
    query: Tensor, keys: Tensor, values: Tensor, past: Sequence[int], *, scale: float
) -> Tensor:
    """What each lane reads of its own places, [B, 1, H * D]; each alone, see `rows_apart`."""
    lanes, heads, _, width = query.shape
    places, shared = keys.shape[2], heads > keys.shape[1]
    found = []
    for lane, before in enumerate(past):
        own, key, value = query, keys, values
        if lanes > 1:
            own, key, value = (x.narrow(0, lane, 1) for x in (query, keys, values))
        if before + 1 < places:
            key, value = (x.narrow(2, places - before - 1, before + 1) for x in (key, value))
        found.append(
            functional.scaled_dot_product_attention(own, key, value, scale=scale, enable_gqa=shared)
        )
    together = found[0] if lanes == 1 else torch.cat(found)
    return together.view(lanes, 1, heads * width)


def step_of(inner: Any) -> Step | None:
    """Steps of a model whose parts are of the form written out here; None: they are not."""
    body = inner.base_model
    if (
        inner.config._attn_implementation != ROWS_APART
        or sliding_window(inner) is not None
        or _names(body) != _BODY
    ):
        return None
    blocks = []
    for whole in body.layers:
        if _names(whole) != _BLOCK:
            return None
        attention, mlp = whole.self_attn, whole.mlp
        norms = whole.input_layernorm, whole.post_attention_layernorm
        if (
            (_names(attention), _names(mlp)) != (_ATTENTION, _MLP)
            or not all(hasattr(norm, "variance_epsilon") for norm in (*norms, body.norm))
            or not isinstance(getattr(attention, "scaling", None), float)
            or not isinstance(getattr(attention, "head_dim", None), int)
        ):
            return None
        blocks.append(
            _Block(
                whole=whole,
                first_norm=norms[0],
                attention=attention._modules,
                head_dim=attention.head_dim,
                scale=attention.scaling,
                second_norm=norms[1],
                mlp=mlp._modules,
            )
        )
    return Step(inner, blocks)


def _names(module: nn.Module) -> set[str]:
    return {name for name, _ in module.named_children()}
