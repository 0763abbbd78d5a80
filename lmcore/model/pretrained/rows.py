"""Rows that a body reads together: what becomes of the segments of all lanes.

In: segments (`lmcore.model.pretrained.windows`) and what was kept of the windows in progress.  Out:
the last states of their new tokens, and what is kept now.  A row is a token in each lane, written
behind what was kept; all segments of a lane, packed; or one segment alone.  Who can read which is
told by the body (`lmcore.model.pretrained.body`).

Legend: G lanes of a group, T tokens of a row, W tokens of a window, d width.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from lmcore.model.pretrained.bounds import bounds_of, in_half_precision
from lmcore.model.pretrained.cache import CacheState
from lmcore.model.pretrained.fused import fused, works
from lmcore.model.pretrained.library import write_ahead
from lmcore.model.pretrained.masks import visible
from lmcore.model.pretrained.windows import IntArray, Segment

if TYPE_CHECKING:
    from lmcore.model.pretrained.body import Body


@dataclass(frozen=True, kw_only=True)
class Read:
    """What was read of some lanes.

    Attributes:
        lanes: Their numbers.
        vectors: Last states of their new tokens, [G, T, d].
        state: What is kept of these lanes.
    """

    lanes: list[int]
    vectors: Tensor
    state: CacheState


def from_nothing(segment: Segment, before: CacheState) -> Segment:
    """The same segment with what was read of its window before it."""
    if not segment.past:
        return segment
    tokens = np.concatenate([_held(before, segment), segment.tokens])
    return replace(segment, tokens=tokens, repeated=segment.past + segment.repeated, past=0)


def stepped(
    body: Body, lanes: Sequence[Sequence[Segment]], windows: Sequence[IntArray], before: CacheState
) -> tuple[Tensor, CacheState] | None:
    """One token in each lane, written behind what was kept; None where that is not so.

    On a CPU alone: elsewhere nobody has measured what the place of numbers in memory changes.

    Args:
        body: Reads them.
        lanes: Segments of each.
        windows: What each lane holds of its window afterwards.
        before: State of all lanes.
    """
    if (
        torch.is_grad_enabled()
        or torch.is_autocast_enabled("cpu")
        or any(len(segments) != 1 or len(segments[0].tokens) != 1 for segments in lanes)
        or _device(body.inner).type != "cpu"
        or not body.grows
    ):
        return None
    past = [segment.past for (segment,) in lanes]
    place = max(past)
    state = before.with_places(place)
    if (room := state.ahead()) is None:
        return None
    ids = torch.from_numpy(np.stack([segment.tokens for (segment,) in lanes]))
    window, filled = _aligned(windows)
    if body.step is not None and body.step.fits:
        vectors, kept = body.step(ids, past, room, place)
        names = state.names
        after = CacheState(window=window, filled=filled, names=names, kept=tuple(kept))
    else:
        cache = write_ahead(state.into(body.new_cache()), room, place)
        seen = visible(torch.zeros_like(ids), torch.tensor(past), place)
        options = {"attention_mask": body.mask(seen, ids.device)}
        vectors = body.states(ids, cache, position_ids=torch.tensor(past)[:, None], **options)
        after = CacheState.out_of(cache, window=window, filled=filled)
    return vectors, replace(after, room=room)


def packed(
    body: Body, lanes: Sequence[Sequence[Segment]], windows: Sequence[IntArray], before: CacheState
) -> list[Read]:
    """All segments of a lane as one row; lanes of equal length together.

    Args:
        body: One that packs.
        lanes: Segments of each.
        windows: What each lane holds of its window afterwards.
        before: State of all lanes.
    """
    groups: dict[int, list[int]] = defaultdict(list)
    for lane, segments in enumerate(lanes):
        groups[sum(len(segment.tokens) for segment in segments)].append(lane)
    device = _device(body.inner)
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
        cache = body.new_cache()
        if past_places:
            state.into(cache)
        options = {"position_ids": positions.to(device)}
        if cache is None and in_half_precision(device) and body.bounded:
            options |= bounds_of(owners, device).options()
            with fused(body.inner) if works() else contextlib.nullcontext():
                vectors = body.states(ids.to(device), cache, **options)
        else:
            seen = visible(owners, torch.tensor(past), past_places)
            options["attention_mask"] = body.mask(seen, device)
            vectors = body.states(ids.to(device), cache, **options)
        new = torch.from_numpy(np.stack([row[3] for row in rows]))
        if new.shape[1] < length:
            place = new.to(device)[..., None].expand(-1, -1, vectors.shape[2])
            vectors = vectors.gather(1, place)
        window, filled = _aligned([windows[lane] for lane in members])
        kept = CacheState.out_of(cache, window=window, filled=filled)
        found.append(Read(lanes=members, vectors=vectors, state=kept))
    return found


def apart(body: Body, lanes: Sequence[Sequence[Segment]], before: CacheState) -> list[Read]:
    """Each segment from nothing, or one token from what was kept; equal ones together."""
    groups: dict[tuple[bool, int], list[tuple[Segment, IntArray]]] = defaultdict(list)
    for segment in (segment for segments in lanes for segment in segments):
        tokens, goes_on = segment.tokens, bool(segment.past)
        if goes_on and not (body.steps and len(tokens) == 1):
            tokens = np.concatenate([_held(before, segment), tokens])
            goes_on = False
        size = (segment.past if before.grows else 0) if goes_on else len(tokens)
        groups[goes_on, size].append((segment, tokens))
    parts: dict[tuple[int, int], Tensor] = {}
    last: dict[int, CacheState] = {}
    device = _device(body.inner)
    for (goes_on, size), members in groups.items():
        ids = torch.from_numpy(np.stack([tokens for _, tokens in members])).to(device)
        cache = body.new_cache()
        if goes_on:
            state = before.select([segment.lane for segment, _ in members])
            state.with_places(size or state.num_places).into(cache)
        vectors = body.states(ids, cache)
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
        Read(
            lanes=[lane],
            vectors=torch.cat([parts[lane, s.column] for s in segments])[None],
            state=last[lane],
        )
        for lane, segments in enumerate(lanes)
    ]


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
