"""Segments through the body of a pretrained decoder: many at once, none sees another.

In: segments (`lmcore.model.pretrained.windows`) and what was kept of the windows in progress.  Out:
the last state of each new token, and what is kept now.

Most decoders take a mask and positions: then all segments of a lane are read as one row, packed,
where a token sees those of its own segment before it and positions restart.  Others (recurrent
ones such as Mamba, or with biases by distance) take neither: then segments of one length are read
side by side, each from nothing.  Which it is, a few tokens decide when the model is loaded, by what
comes out and not by its name.

Legend: B lanes, G lanes of a group, T tokens of a row, P places kept, d width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmcore.model.pretrained.cache import CacheState
from lmcore.model.pretrained.library import fresh_cache, library
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
        with library():  # which remarks on kernels that are not there
            self.packs = _tried(self._packs_truly)
            self.steps = self.packs or _tried(self._steps_truly)

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
        read = self._packed(lanes, windows, before) if self.packs else self._apart(lanes, before)
        if len(read) == 1:
            return read[0].vectors, read[0].state
        order = np.argsort([lane for part in read for lane in part.lanes], kind="stable").tolist()
        state = read[0].state.beside([part.state for part in read[1:]])
        return torch.cat([part.vectors for part in read])[order], state.select(order)

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
            mask = _mask(owners, torch.tensor(past), past_places)
            cache = self._cache()
            if past_places:
                state.into(cache)
            vectors = self._states(
                ids.to(device),
                cache,
                attention_mask=self._as_mask(mask, device),
                position_ids=positions.to(device),
            )
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
            vectors = self._states(ids, cache)
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

    def _states(self, ids: Tensor, cache: Any, **options: Any) -> Tensor:
        """Last states [G, T, d]; the cache is filled, if there is one."""
        read = self.inner.base_model(
            input_ids=ids, cache=cache, use_cache=cache is not None, **options
        )
        found: Tensor = read.last_hidden_state
        return found

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
                    mask = _mask(owners, torch.zeros(len(owners), dtype=torch.long), 0)
                    options["attention_mask"] = self._as_mask(mask, tokens.device)
                    options["position_ids"] = positions.to(tokens.device)
                read = self.inner.base_model(output_attentions=True, **options)
            finally:
                self.inner.set_attn_implementation(chosen)
        return [shares for shares in getattr(read, "attentions", None) or () if shares is not None]

    def _as_mask(self, visible: Tensor | None, device: torch.device) -> Tensor | None:
        """What may be seen, in the form that the attention in use takes."""
        if visible is None:
            return None
        visible = visible[:, None].to(device)
        if self.inner.config._attn_implementation == "sdpa":
            return visible
        hidden = torch.zeros(visible.shape, device=device)
        return hidden.masked_fill(~visible, torch.finfo(hidden.dtype).min)

    # -- which way is true -----------------------------------------------------------------------

    @torch.no_grad()
    def _packs_truly(self) -> bool:
        """Whether two texts in one row are what each is alone, and a row can be gone on with."""
        ids = _some_tokens(self.inner)
        whole = self._states(ids, fresh_cache(self.inner))
        behind = self._states(ids[:, 3:], fresh_cache(self.inner))
        owners = torch.tensor([[0, 0, 0, 1, 1, 1]])
        mask = self._as_mask(_mask(owners, torch.zeros(1, dtype=torch.long), 0), ids.device)
        positions = torch.tensor([[0, 1, 2, 0, 1, 2]], device=ids.device)
        cache = fresh_cache(self.inner)
        packed = self._states(ids, cache, attention_mask=mask, position_ids=positions)
        parts = [whole[:, :3], behind]
        if not _close(packed, torch.cat(parts, dim=1)):
            return False
        cache = fresh_cache(self.inner)
        self._states(ids[:, :3], cache)
        mask = self._as_mask(_mask(owners[:, :3], torch.tensor([3]), 3), ids.device)
        if mask is None:
            mask = self._as_mask(torch.ones(1, 3, 6, dtype=torch.bool).tril(3), ids.device)
        options = {"attention_mask": mask, "position_ids": torch.arange(3, 6)[None]}
        return _close(self._states(ids[:, 3:], cache, **options), whole[:, 3:])

    @torch.no_grad()
    def _steps_truly(self) -> bool:
        """Whether a token after what was kept is what it is in the whole."""
        ids = _some_tokens(self.inner)
        whole = self._states(ids, fresh_cache(self.inner))
        cache = fresh_cache(self.inner)
        self._states(ids[:, :4], cache)
        found = [self._states(ids[:, place : place + 1], cache) for place in (4, 5)]
        return _close(torch.cat(found, dim=1), whole[:, 4:])


@torch.no_grad()
def causal(inner: Any) -> bool:
    """Whether earlier tokens are read alike whatever comes later."""
    ids = _some_tokens(inner)
    other = torch.cat([ids[:, :3], ids[:, 3:].flip(1)], dim=1)
    with library():
        one, two = (inner.base_model(input_ids=x).last_hidden_state for x in (ids, other))
    return _close(one[:, :3], two[:, :3]) and not _close(one[:, 3:], two[:, 3:])


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether two readings are the same but for rounding."""
    size = other.abs().amax().clamp(min=1e-6)
    return bool(((one - other).abs() <= 1e-3 * size).all())


def _tried(question: Any) -> bool:
    """The answer; no where the model cannot even be asked so."""
    try:
        return bool(question())
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError, KeyError):
        return False


def _some_tokens(inner: Any) -> Tensor:
    vocab_size = len(inner.get_input_embeddings().weight)
    return (torch.arange(1, 7, device=_device(inner)) % vocab_size)[None]


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


def _mask(owners: Tensor, past: Tensor, places: int) -> Tensor | None:
    """What each token may see, bool [G, T, P + T]; None where plain causality says it all.

    Args:
        owners: Segment of each token, [G, T]; 0 goes on from what was kept.
        past: Places kept that belong to segment 0, right-aligned, [G].
        places: P.
    """
    length = owners.shape[1]
    one = bool((owners == owners[:, :1]).all())
    if one and not places:
        return None
    if one and length == 1 and bool((past == places).all()):
        return None
    kept = torch.arange(places) >= places - past[:, None]
    keys = torch.cat([torch.where(kept, 0, -1), owners], dim=1)
    causal = torch.ones(length, places + length, dtype=torch.bool).tril(places)
    return (owners[:, :, None] == keys[:, None, :]) & causal


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
