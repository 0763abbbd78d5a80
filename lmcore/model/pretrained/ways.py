"""Which way of reading is true of a model: a few tokens decide, by what comes out of them.

In: a causal model of the library and its body as it is to be read.  Out: whether several texts in
one row are what each is alone, whether what was kept is gone on from, and, when a model is
imported, whether it can be read as all who use a language model rely on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lmcore.model.pretrained.bounds import bounds_of
from lmcore.model.pretrained.cache import CacheState
from lmcore.model.pretrained.library import fresh_cache, library
from lmcore.model.pretrained.masks import FORMS, Form, in_form, short_window, visible
from lmcore.model.pretrained.room import Room
from lmcore.model.pretrained.windows import cut

if TYPE_CHECKING:
    from lmcore.model.pretrained.body import Body
    from lmcore.model.pretrained.stepping import Step

_CONTEXT = 8
# float32 on a CPU is off by 1e-6 of the largest number; a mistake is off by 1e-2.
_EXACT = 1e-4


def form_of_masks(body: Body) -> Form | None:
    """The form of masks with which a row of several texts is what each is alone; None: none is."""
    with library(), short_window(body.inner):  # the library remarks on kernels that are not there
        return next((form for form in FORMS if _tried(partial(_packs, body, form))), None)


def steps_truly(body: Body) -> bool:
    """Whether a token after what was kept is what it is in the whole."""
    with library(), short_window(body.inner):
        return _tried(partial(_steps, body))


def reads_bounds(body: Body) -> bool:
    """Whether rows of two texts each are read by the texts' bounds as each is alone."""
    with library(), torch.autocast(next(body.inner.parameters()).device.type, enabled=False):
        return _tried(partial(_bounded, body))


def steps_alike(body: Body, step: Step) -> bool:
    """Whether a token in each of two lanes is to the last bit what the library says it is."""
    with library(), torch.autocast("cpu", enabled=False):
        return _tried(partial(_stepped, body, step))


@torch.no_grad()
def causal(inner: Any) -> bool:
    """Whether earlier tokens are read alike whatever comes later."""
    ids = _some_tokens(inner)
    other = torch.cat([ids[:, :3], ids[:, 3:].flip(1)], dim=1)
    with library():
        one, two = (inner.base_model(input_ids=x).last_hidden_state for x in (ids, other))
    return _close(one[:, :3], two[:, :3]) and not _close(one[:, 3:], two[:, 3:])


def misread(body: Body) -> str:
    """What of a text is read otherwise than the library reads it alone; empty: nothing.

    In two lanes two documents each, the second longer than a window of eight tokens, are read as a
    whole, in parts and token by token, with gradients and without.
    """
    inner = body.inner
    ids = _some_tokens(inner, count=20)[0]
    end = int(ids[0])
    ids[5] = end
    windows = ((0, 5, 0), (5, 13, 0), (11, 19, 2), (17, 20, 2))  # start, stop, read before
    with library(), short_window(inner):
        with torch.no_grad():
            alone = [
                inner.base_model(input_ids=ids[None, a:b]).last_hidden_state[0, skip:]
                for a, b, skip in windows
            ]
            expected = torch.cat(alone).expand(2, -1, -1)
            for what, sizes in (("as a whole", [20]), ("in parts", [3, 1, 9, 7]), ("", [1] * 20)):
                if not _close(_read(body, ids, sizes, end_id=end), expected, within=_EXACT):
                    return f"read {what or 'token by token'}"
        with torch.enable_grad():
            if not _close(_read(body, ids, [20], end_id=end).detach(), expected, within=_EXACT):
                return "read for learning"
    return ""


def _read(body: Body, ids: Tensor, sizes: list[int], *, end_id: int) -> Tensor:
    """Last states [2, T, d] of the same text in two lanes, read in chunks of these sizes."""
    state, found, start = CacheState.fresh(2), [], 0
    for size in sizes:
        row = ids[start : start + size].cpu().numpy().astype(np.int64)
        held = state.window[0].numpy()[state.num_places - int(state.filled[0]) :]
        lanes, windows = zip(
            *(cut(row, held, lane=lane, end_id=end_id, context=_CONTEXT) for lane in range(2)),
            strict=True,
        )
        vectors, state = body.read(lanes, windows, state)
        found.append(vectors)
        start += size
    return torch.cat(found, dim=1)


@torch.no_grad()
def _packs(body: Body, form: Form) -> bool:
    """Whether two texts in one row are what each is alone, and a row can be gone on with."""
    inner, ids = body.inner, _some_tokens(body.inner)
    whole = body.states(ids, fresh_cache(inner))
    behind = body.states(ids[:, 3:], fresh_cache(inner))
    owners = torch.tensor([[0, 0, 0, 1, 1, 1]])
    mask = in_form(inner, form, visible(owners, torch.zeros(1, dtype=torch.long), 0), ids.device)
    positions = torch.tensor([[0, 1, 2, 0, 1, 2]], device=ids.device)
    cache = fresh_cache(inner)
    packed = body.states(ids, cache, attention_mask=mask, position_ids=positions)
    if not _close(packed, torch.cat([whole[:, :3], behind], dim=1)):
        return False
    cache = fresh_cache(inner)
    body.states(ids[:, :3], cache)
    seen = torch.ones(1, 3, 6, dtype=torch.bool).tril(3)
    options = {
        "attention_mask": in_form(inner, form, seen, ids.device),
        "position_ids": torch.arange(3, 6, device=ids.device)[None],
    }
    return _close(body.states(ids[:, 3:], cache, **options), whole[:, 3:])


@torch.no_grad()
def _bounded(body: Body) -> bool:
    ids = _some_tokens(body.inner)
    rows = torch.cat([ids, ids.flip(1)])
    owners = torch.tensor([[0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1]])
    positions = torch.tensor([[0, 1, 2, 3, 0, 1], [0, 1, 0, 1, 2, 3]], device=ids.device)
    texts = (rows[0, :4], rows[0, 4:], rows[1, :2], rows[1, 2:])
    alone = torch.cat([body.states(text[None], None)[0] for text in texts]).view(2, 6, -1)
    options = bounds_of(owners, ids.device).options()
    return _close(body.states(rows, None, position_ids=positions, **options), alone)


@torch.no_grad()
def _stepped(body: Body, step: Step) -> bool:
    """Two steps after three tokens, of which the second lane sees the last alone."""
    inner, ids = body.inner, _some_tokens(body.inner, count=10).view(2, 5)
    cache = fresh_cache(inner)
    body.states(ids[:, :3], cache)
    held = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    room = Room(held)
    same = True
    for place in (3, 4):
        past = [place, place - 2]
        seen = visible(torch.zeros(2, 1, dtype=torch.long), torch.tensor(past), place)
        options = {
            "attention_mask": in_form(inner, "alike", seen, ids.device),
            "position_ids": torch.tensor(past)[:, None],
        }
        token = ids[:, place : place + 1]
        found, kept = step(token, past, room, place)
        same = same and torch.equal(found, body.states(token, cache, **options))
    last = cache.layers[-1]
    return same and torch.equal(kept[-2], last.keys) and torch.equal(kept[-1], last.values)


@torch.no_grad()
def _steps(body: Body) -> bool:
    ids = _some_tokens(body.inner)
    whole = body.states(ids, fresh_cache(body.inner))
    cache = fresh_cache(body.inner)
    body.states(ids[:, :4], cache)
    found = [body.states(ids[:, place : place + 1], cache) for place in (4, 5)]
    return _close(torch.cat(found, dim=1), whole[:, 4:])


def _close(one: Tensor, other: Tensor, *, within: float = 1e-3) -> bool:
    """Whether two readings are the same but for rounding."""
    size = other.abs().amax().clamp(min=1e-6)
    return one.shape == other.shape and bool(((one - other).abs() <= within * size).all())


def _tried(question: Callable[[], bool]) -> bool:
    """The answer; no where the model cannot even be asked so."""
    try:
        return bool(question())
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError, KeyError):
        return False


def _some_tokens(inner: Any, *, count: int = 6) -> Tensor:
    rows = inner.get_input_embeddings().weight
    return (torch.arange(1, count + 1, device=rows.device) % len(rows))[None]
