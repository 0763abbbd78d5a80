"""Segments through the body of a pretrained decoder: many at once, none sees another.

In: segments (`lmcore.model.pretrained.windows`) and what was kept of the windows in progress.  Out:
the last state of each new token, and what is kept now.

Most decoders take a mask and positions: then all segments of a lane are read as one row, packed,
where a token sees those of its own segment before it and positions restart.  Others (recurrent
ones such as Mamba, or with biases by distance) take neither: then segments of one length are read
side by side, each from nothing (`lmcore.model.pretrained.rows`).  Which it is, a few tokens decide
when the model is loaded, by what comes out and not by its name (`lmcore.model.pretrained.ways`).

Legend: B lanes, G lanes of a group, T tokens of a row, H heads, d width.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmcore.model.pretrained.cache import CacheState
from lmcore.model.pretrained.library import fresh_cache, keeps_all, library
from lmcore.model.pretrained.masks import in_form, visible
from lmcore.model.pretrained.rows import apart, from_nothing, packed, stepped
from lmcore.model.pretrained.stepping import Step, step_of
from lmcore.model.pretrained.ways import form_of_masks, reads_bounds, steps_alike, steps_truly
from lmcore.model.pretrained.windows import IntArray, Segment


class Body:
    """The body of a causal model of the library.

    Args:
        inner: The causal model; its own mode (training or not) is left as it is.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.form = form_of_masks(self)
        self.steps = self.packs or steps_truly(self)

    @functools.cached_property
    def bounded(self) -> bool:
        """Whether its attention does with the bounds of segments what it does with a mask."""
        return self.form == "alike" and reads_bounds(self)

    @functools.cached_property
    def grows(self) -> bool:
        """Whether all that it keeps are keys and values, which can have room."""
        return self.packs and keeps_all(self.inner)

    @functools.cached_property
    def step(self) -> Step | None:
        """Its steps without the library, where they are what the library says."""
        found = step_of(self.inner) if self.form == "alike" and self.grows else None
        return found if found is not None and steps_alike(self, found) else None

    @property
    def packs(self) -> bool:
        """Whether several texts in one row are what each is alone."""
        return self.form is not None

    # -- reading -------------------------------------------------------------------------------

    def read(
        self, lanes: Sequence[Sequence[Segment]], windows: Sequence[IntArray], before: CacheState
    ) -> tuple[Tensor, CacheState]:
        """Read the segments of all lanes.

        Args:
            lanes: Of each lane, in order; the same number of new tokens in each.
            windows: What each lane holds of its window afterwards.
            before: State before them.

        Returns:
            Last states [B, T, d], and the state after them.  Where something learns, nothing is
            kept of the layers: a step of training ends there, and whoever goes on from it has the
            window read again.
        """
        if torch.is_grad_enabled() or not before.kept:
            lanes = [[from_nothing(s, before) for s in segments] for segments in lanes]
        elif self.steps and all(len(s) == 1 and s[0].num_new == 1 for s in lanes):
            lanes, before = self._begun(lanes, before)
        if (found := stepped(self, lanes, windows, before)) is not None:
            return found
        read = packed(self, lanes, windows, before) if self.packs else apart(self, lanes, before)
        if len(read) == 1:
            return read[0].vectors, read[0].state
        order = np.argsort([lane for part in read for lane in part.lanes], kind="stable").tolist()
        state = read[0].state.beside([part.state for part in read[1:]])
        return torch.cat([part.vectors for part in read])[order], state.select(order)

    def _begun(
        self, lanes: Sequence[Sequence[Segment]], before: CacheState
    ) -> tuple[Sequence[Sequence[Segment]], CacheState]:
        """One new token in each lane: what a new window repeats is read first, each lane alone.

        So that token is one in each of all lanes, and what a lane reads does not depend, to the
        last bit, on which others begin a window with it.
        """
        anew = [lane for lane, (segment,) in enumerate(lanes) if segment.repeated]
        if not anew:
            return lanes, before
        states = []
        for lane in anew:
            (segment,) = lanes[lane]
            again = segment.tokens[:-1]
            first = replace(segment, lane=0, column=0, tokens=again, repeated=0)
            states.append(self.read([[first]], [again], CacheState.fresh(1))[1])
        others = [lane for lane in range(len(lanes)) if lane not in anew]
        if others:
            states.insert(0, before.select(others))
        order = np.argsort([*others, *anew], kind="stable").tolist()
        begun = [
            [replace(s, tokens=s.tokens[-1:], repeated=0, past=s.repeated) if s.repeated else s]
            for (s,) in lanes
        ]
        return begun, states[0].beside(states[1:]).select(order)

    def new_cache(self) -> Any:
        """Where the layers put what they keep; nowhere where something learns."""
        return None if torch.is_grad_enabled() else fresh_cache(self.inner)

    def states(self, ids: Tensor, cache: Any, **options: Any) -> Tensor:
        """Last states [G, T, d]; the cache is filled, if there is one."""
        read = self.inner.base_model(
            input_ids=ids, cache=cache, use_cache=cache is not None, **options
        )
        found: Tensor = read.last_hidden_state
        return found

    def mask(self, seen: Tensor | None, device: torch.device) -> Any:
        """What each token may see (`masks.visible`), as the model takes it."""
        return in_form(self.inner, self.form or "alike", seen, device)

    def attention(self, tokens: Tensor, *, end_id: int) -> list[Tensor]:
        """What each attention layer reads of tokens [B, T] of one window, [B, H, T, T] each."""
        owners = (tokens == end_id).long().cumsum(1).cpu()
        columns = torch.arange(owners.shape[1]).expand_as(owners)
        begins = torch.diff(owners, dim=1, prepend=owners[:, :1] - 1) != 0
        positions = columns - torch.where(begins, columns, 0).cummax(1).values
        chosen = self.inner.config._attn_implementation
        options: dict[str, Any] = {"input_ids": tokens, "use_cache": False}
        with library():
            self.inner.set_attn_implementation("eager")
            try:
                if self.packs:
                    seen = visible(owners, torch.zeros(len(owners), dtype=torch.long), 0)
                    options["attention_mask"] = self.mask(seen, tokens.device)
                    options["position_ids"] = positions.to(tokens.device)
                read = self.inner.base_model(output_attentions=True, **options)
            finally:
                self.inner.set_attn_implementation(chosen)
        return [shares for shares in getattr(read, "attentions", None) or () if shares is not None]
