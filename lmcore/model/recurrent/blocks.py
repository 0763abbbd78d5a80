"""The residual blocks of the recurrent + attention model, one after the other.

In: what the first one reads, and what each remembers.  Out: features, and what each remembers then.
A chunk goes one way, in training, scoring and generation; one token in each lane goes a shorter one
that says the same, to the last bit.

Legend: B lanes, T tokens, d width of the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from lmcore.model.recurrent.boundaries import Boundaries
from lmcore.model.recurrent.layers import Mixer, Stepper, locked_dropout
from lmcore.model.recurrent.states import LayerState


class Around(NamedTuple):
    """What stands around a mixer that is no stem."""

    mixer_norm: nn.Module
    mlp_norm: nn.Module
    mlp: nn.Module


class Block(NamedTuple):
    """One letter of the pattern.

    Attributes:
        mixer: What mixes over time.
        around: What stands around it; None: it is the stem, without residual path and MLP.
    """

    mixer: Mixer
    around: Around | None


def in_order(
    mixers: Iterable[nn.Module], around: Iterable[tuple[nn.Module, nn.Module, nn.Module]]
) -> list[Block]:
    """The blocks of a model; where a mixer has nothing around it, it is the first.

    A list, as modules look each of theirs up by name, which a step of one token would feel.
    """
    own = [Around(*parts) for parts in around]
    found = [cast(Mixer, mixer) for mixer in mixers]
    stem: list[Around | None] = [None] * (len(found) - len(own))
    return [Block(*pair) for pair in zip(found, [*stem, *own], strict=True)]


def read(
    blocks: Sequence[Block],
    x: Tensor,
    states: Sequence[LayerState],
    boundaries: Boundaries,
    *,
    rate: float,
    rng: torch.Generator | None,
) -> tuple[Tensor, list[LayerState]]:
    """Read a chunk.

    Args:
        blocks: From the bottom up.
        x: What the first one reads, [B, T, in].
        states: Before the chunk, one a block.
        boundaries: Where documents start.
        rate: Of dropout.
        rng: Its source of randomness; None: nothing is dropped.

    Returns:
        Features [B, T, d], and the states after the chunk.
    """
    after = []
    for (mixer, around), before in zip(blocks, states, strict=True):
        y, state = mixer(x if around is None else around.mixer_norm(x), before, boundaries)
        after.append(state)
        y = locked_dropout(y, rate=rate, rng=rng)
        if around is None:
            x = y
            continue
        x = x + y
        y = around.mlp(around.mlp_norm(x))
        x = x + locked_dropout(y, rate=rate, rng=rng)
    return x, after


def step(
    blocks: Sequence[Block], x: Tensor, states: Sequence[LayerState]
) -> tuple[Tensor, list[LayerState]]:
    """Read a token in each lane that starts no document, without gradient.

    A step of a small model is small operations, each of which costs more to ask for than to do.

    Args:
        blocks: All of whose mixers are steppers.
        x: What the first one reads, [B, in].
        states: Of `Mixer.stepping`, used up.

    Returns:
        Features [B, d], and the states after the tokens.
    """
    after = []
    for (mixer, around), before in zip(blocks, states, strict=True):
        one = cast(Stepper, mixer).step
        if around is None:
            x, state = one(x, before)
        else:
            y, state = one(around.mixer_norm(x), before)
            x = x + y
            x = x + around.mlp(around.mlp_norm(x))
        after.append(state)
    return x, after
