"""Segments through the body of a pretrained decoder: many at once, none sees another.

In: segments (`lmcore.model.pretrained.windows`) and what was kept of the windows in progress.  Out:
the last state of each new token, and what is kept now.

Most decoders take a mask and positions: then all segments of a lane are read as one row, packed,
where a token sees those of its own segment before it and positions restart.  Others (recurrent
ones such as Mamba, or with biases by distance) take neither: then segments of one length are read
side by side, each from nothing.  Which it is, a few tokens decide when the model is loaded, by what
comes out and not by its name (`lmcore.model.pretrained.ways`).

Legend: B lanes, G lanes of a group, T tokens of a row, P places kept, d width.
"""

from __future__ import annotations

import contextlib
import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmcore.model.pretrained.bounds import bounds_of, in_half_precision
from lmcore.model.pretrained.cache import CacheState
from lmcore.model.pretrained.fused import fused, works
from lmcore.model.pretrained.library import fresh_cache, keeps_all, library, write_ahead
from lmcore.model.pretrained.masks import in_form, visible
from lmcore.model.pretrained.stepping import Step, step_of
from lmcore.model.pretrained.ways import form_of_masks, reads_bounds, steps_alike, steps_truly
from lmcore.model.pretrained.windows import IntArray, Segment


@dataclass(frozen=True, kw_only=True)
class _Read:
    """Last states of some lanes' new tokens, and what is kept of these lanes."""

    lanes: list[int]
    vectors: Tensor
    state: CacheState


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
            lanes = [[_from_nothing(s, before) for s in segments] for segments in lanes]
        elif self.steps and all(len(s) == 1 and s[0].num_new == 1 for s in lanes):
            lanes, before = self._begun(lanes, before)
        if (stepped := self._stepped(lanes, windows, before)) is not None:
            return stepped
        read = self._packed(lanes, windows, before) if self.packs else self._apart(lanes, before)
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

    def _stepped(
        self, lanes: Sequence[Sequence[Segment]], windows: Sequence[IntArray], before: CacheState
    ) -> tuple[Tensor, CacheState] | None:
        """One token in each lane, written behind what was kept; None where that is not so.

        On a CPU alone: elsewhere nobody has measured what the place of numbers in memory changes.
        """
        if (
            torch.is_grad_enabled()
            or torch.is_autocast_enabled("cpu")
            or any(len(segments) != 1 or len(segments[0].tokens) != 1 for segments in lanes)
            or _device(self.inner).type != "cpu"
            or not self.grows
        ):
            return None
        past = [segment.past for (segment,) in lanes]
        place = max(past)
        state = before.with_places(place)
        if (room := state.ahead()) is None:
            return None
        ids = torch.from_numpy(np.stack([segment.tokens for (segment,) in lanes]))
        window, filled = _aligned(windows)
        if self.step is not None and self.step.fits:
            vectors, kept = self.step(ids, past, room, place)
            names = state.names
            after = CacheState(window=window, filled=filled, names=names, kept=tuple(kept))
        else:
            cache = write_ahead(state.into(self._cache()), room, place)
            seen = visible(torch.zeros_like(ids), torch.tensor(past), place)
            options = {"attention_mask": self._mask(seen, ids.device)}
            vectors = self.states(ids, cache, position_ids=torch.tensor(past)[:, None], **options)
            after = CacheState.out_of(cache, window=window, filled=filled)
        return vectors, replace(after, room=room)

    def _packed(
        self, lanes: Sequence[Sequence[Segment]], windows: Sequence[IntArray], before: CacheState
    ) -> list[_Read]:
        """All segments of a lane as one row; lanes of equal length together."""
        groups: dict[int, list[int]] = defaultdict(list)
        for lane, segments in enumerate(lanes):
            groups[sum(len(segment.tokens) for segment in segments)].append(lane)
        device = _device(self.inner)
        found = []
        for length, members in groups.items():
            rows = [_row(lanes[lane]) for lane in members]
            ids, owners, positions = (
                torch.from_numpy(np.stack(column)) for column in list(zip(*rows, strict=True))[:3]
            )
            past = [lanes[lane][0].past for lane in members]
            past_places = max(past)
            state = before if len(groups) == 1 else before.select(members)
            state = state.with_places(past_places)
            cache = self._cache()
            if past_places:
                state.into(cache)
            options = {"position_ids": positions.to(device)}
            if cache is None and in_half_precision(device) and self.bounded:
                options |= bounds_of(owners, device).options()
                with fused(self.inner) if works() else contextlib.nullcontext():
                    vectors = self.states(ids.to(device), cache, **options)
            else:
                seen = visible(owners, torch.tensor(past), past_places)
                options["attention_mask"] = self._mask(seen, device)
                vectors = self.states(ids.to(device), cache, **options)
            new = torch.from_numpy(np.stack([row[3] for row in rows]))
            if new.shape[1] < length:
                place = new.to(device)[..., None].expand(-1, -1, vectors.shape[2])
                vectors = vectors.gather(1, place)
            window, filled = _aligned([windows[lane] for lane in members])
            kept = CacheState.out_of(cache, window=window, filled=filled)
            found.append(_Read(lanes=members, vectors=vectors, state=kept))
        return found

    def _apart(self, lanes: Sequence[Sequence[Segment]], before: CacheState) -> list[_Read]:
        """Each segment from nothing, or one token from what was kept; equal ones together."""
        groups: dict[tuple[bool, int], list[tuple[Segment, IntArray]]] = defaultdict(list)
        for segment in (segment for segments in lanes for segment in segments):
            tokens, goes_on = segment.tokens, bool(segment.past)
            if goes_on and not (self.steps and len(tokens) == 1):
                tokens = np.concatenate([_held(before, segment), tokens])
                goes_on = False
            size = (segment.past if before.grows else 0) if goes_on else len(tokens)
            groups[goes_on, size].append((segment, tokens))
        parts: dict[tuple[int, int], Tensor] = {}
        last: dict[int, CacheState] = {}
        device = _device(self.inner)
        for (goes_on, size), members in groups.items():
            ids = torch.from_numpy(np.stack([tokens for _, tokens in members])).to(device)
            cache = self._cache()
            if goes_on:
                state = before.select([segment.lane for segment, _ in members])
                state.with_places(size or state.num_places).into(cache)
            vectors = self.states(ids, cache)
            held = [
                np.concatenate([_held(before, segment), tokens]) if goes_on else tokens
                for segment, tokens in members
            ]
            window, filled = _aligned(held)
            kept = CacheState.out_of(cache, window=window, filled=filled)
            for row, (segment, tokens) in enumerate(members):
                parts[segment.lane, segment.column] = vectors[row, len(tokens) - segment.num_new :]
                if segment is lanes[segment.lane][-1]:
                    last[segment.lane] = kept.select([row])
        return [
            _Read(
                lanes=[lane],
                vectors=torch.cat([parts[lane, s.column] for s in segments])[None],
                state=last[lane],
            )
            for lane, segments in enumerate(lanes)
        ]

    def _cache(self) -> Any:
        """Where the layers put what they keep; nowhere where something learns."""
        return None if torch.is_grad_enabled() else fresh_cache(self.inner)

    def states(self, ids: Tensor, cache: Any, **options: Any) -> Tensor:
        """Last states [G, T, d]; the cache is filled, if there is one."""
        read = self.inner.base_model(
            input_ids=ids, cache=cache, use_cache=cache is not None, **options
        )
        found: Tensor = read.last_hidden_state
        return found

    def _mask(self, seen: Tensor | None, device: torch.device) -> Any:
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
                    options["attention_mask"] = self._mask(seen, tokens.device)
                    options["position_ids"] = positions.to(tokens.device)
                read = self.inner.base_model(output_attentions=True, **options)
            finally:
                self.inner.set_attn_implementation(chosen)
        return [shares for shares in getattr(read, "attentions", None) or () if shares is not None]


def _device(inner: nn.Module) -> torch.device:
    return next(inner.parameters()).device


def _row(segments: Sequence[Segment]) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Tokens, segments that they belong to, positions [T] each, and places of the new ones."""
    tokens = np.concatenate([segment.tokens for segment in segments])
    sizes = [len(segment.tokens) for segment in segments]
    # The segment that goes on is number 0, as the places that were kept are.
    first = 0 if segments[0].past else 1
    owners = np.repeat(np.arange(first, first + len(segments)), sizes)
    positions = np.concatenate(
        [np.arange(segment.past, segment.past + len(segment.tokens)) for segment in segments]
    )
    new = np.concatenate(
        [np.arange(size) >= s.repeated for size, s in zip(sizes, segments, strict=True)]
    )
    return tokens, owners, positions, np.flatnonzero(new)


def _from_nothing(segment: Segment, before: CacheState) -> Segment:
    """The same segment with what was read of its window before it."""
    if not segment.past:
        return segment
    tokens = np.concatenate([_held(before, segment), segment.tokens])
    return replace(segment, tokens=tokens, repeated=segment.past + segment.repeated, past=0)


def _held(before: CacheState, segment: Segment) -> IntArray:
    """What was read of a segment's window."""
    window: IntArray = before.window[segment.lane].numpy()
    return window[len(window) - segment.past :]


def _aligned(windows: Sequence[IntArray]) -> tuple[Tensor, Tensor]:
    """Windows right-aligned [G, W], and how long each is [G]."""
    most = max(len(window) for window in windows)
    together = np.zeros((len(windows), most), dtype=np.int64)
    for lane, window in enumerate(windows):
        together[lane, most - len(window) :] = window
    return torch.from_numpy(together), torch.tensor([len(window) for window in windows])
