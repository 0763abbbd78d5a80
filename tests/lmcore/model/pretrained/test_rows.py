"""Rows are read to the same bits one by one and together; what is kept has room behind it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

pytest.importorskip("transformers")
import numpy as np
import torch
from architectures import READ, attended_as_loaded
from language_models import language_model
from pretrained_models import KINDS, library_model

from lmcore.model.beam import BeamConfig, beam_search
from lmcore.model.generation import prefill
from lmcore.model.language_model import LanguageModel
from lmcore.model.pretrained import body as module
from lmcore.model.pretrained.body import Body
from lmcore.model.pretrained.cache import CacheState
from lmcore.model.pretrained.rows import apart, from_nothing, packed, stepped
from lmcore.model.pretrained.windows import Segment, cut
from lmcore.model.state import State

CONTEXT = 24


def segment(tokens: list[int], *, column: int = 0, repeated: int = 0, past: int = 0) -> Segment:
    """Of the only lane."""
    ids = np.array(tokens, dtype=np.int64)
    return Segment(lane=0, column=column, tokens=ids, repeated=repeated, past=past)


def test_what_was_read_of_a_window_is_read_again() -> None:
    before = CacheState(window=torch.tensor([[9, 3, 4, 5]]), filled=torch.tensor([3]))
    whole = from_nothing(segment([6, 7], past=3), before)
    assert whole.tokens.tolist() == [3, 4, 5, 6, 7]
    assert (whole.repeated, whole.past, whole.num_new) == (3, 0, 2)
    begun = segment([6, 7], repeated=1)
    assert from_nothing(begun, before) is begun


def test_a_packed_row_is_what_its_segments_are_apart() -> None:
    body = Body(library_model("llama", 300))
    lanes = [[segment([3, 4, 5]), segment([0, 6], column=3), segment([6, 7], column=5, repeated=1)]]
    before = CacheState.fresh(1)
    with torch.inference_mode():
        assert stepped(body, lanes, [lanes[0][-1].tokens], before) is None
        (one,) = packed(body, lanes, [lanes[0][-1].tokens], before)
        (other,) = apart(body, lanes, before)
    assert one.lanes == other.lanes == [0]
    assert one.vectors.shape == (1, 6, one.vectors.shape[2])
    torch.testing.assert_close(one.vectors, other.vectors)
    assert one.state.window.tolist() == other.state.window.tolist() == [[6, 7]]
    for ours, theirs in zip(one.state.kept, other.state.kept, strict=True):
        torch.testing.assert_close(ours, theirs)


def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is kept joined anew at each token."""
    monkeypatch.setattr(module, "stepped", lambda *_: None)


def read(body: Body, chunks: Sequence[torch.Tensor], state: CacheState) -> list[torch.Tensor]:
    """Last states after each chunk [B, T], and what is kept at the end."""
    found = []
    for chunk in chunks:
        held, filled = state.window.numpy(), state.filled.tolist()
        lanes, windows = zip(
            *(
                cut(
                    row.astype(np.int64),
                    held[lane, held.shape[1] - filled[lane] :],
                    lane=lane,
                    end_id=0,
                    context=CONTEXT,
                )
                for lane, row in enumerate(chunk.numpy())
            ),
            strict=True,
        )
        vectors, state = body.read(lanes, windows, state)
        found.append(vectors)
    return [*found, *state.tensors()]


@pytest.mark.parametrize("name", READ)
def test_each_architecture_steps_to_the_same_bits(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Body(attended_as_loaded(name))
    rng = torch.Generator().manual_seed(1)
    tokens = torch.randint(1, 300, (3, 2 * CONTEXT), generator=rng)
    # The second lane begins a document on the way, so that texts are of unequal length.
    tokens[1, 11] = 0
    chunks = list(torch.split(tokens, [7, *[1] * (2 * CONTEXT - 7)], dim=1))
    alone = [chunk[:1] for chunk in chunks]
    with torch.inference_mode():
        found = read(body, chunks, CacheState.fresh(3)), read(body, alone, CacheState.fresh(1))
        as_before(monkeypatch)
        before = read(body, chunks, CacheState.fresh(3)), read(body, alone, CacheState.fresh(1))
    for ours, theirs in zip(found, before, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_beams_are_those_of_states_that_are_joined_anew(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = language_model(kind)
    prompts = [[3, 4, 5, 6], [9, 8]]
    config = BeamConfig(beam_size=3, num_return=3, max_tokens=20)
    found = beam_search(model, prompts, config)
    as_before(monkeypatch)
    assert found == beam_search(model, prompts, config)


def after(model: LanguageModel, state: State, tokens: Sequence[int]) -> list[torch.Tensor]:
    """Logits after each token of one lane."""
    found = []
    for token in tokens:
        logits, state = model(torch.tensor([[token]]), state)
        found.append(logits)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_two_continuations_of_one_state_are_what_each_is_alone(kind: str, steps: int) -> None:
    model = language_model(kind)
    one, other = [11, 12, 13, 14, 15], [21, 22, 23, 24, 25]

    def begun() -> State:
        _, state = prefill(model, [[3, 4, 5]])
        for token in range(30, 30 + steps):
            _, state = model(torch.tensor([[token]]), state)
        return state

    with torch.inference_mode():
        alone = after(model, begun(), one), after(model, begun(), other)
        shared = begun()
        kept = [tensor.clone() for tensor in shared.tensors()]
        states = [shared, shared]
        found: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        # In turn, so that each could write over the other's token.
        for pair in zip(one, other, strict=True):
            for side, token in enumerate(pair):
                logits, states[side] = model(torch.tensor([[token]]), states[side])
                found[side].append(logits)
        again = after(model, shared, one)
    for ours, theirs in zip([*found, again], [*alone, alone[0]], strict=True):
        assert all(torch.equal(x, y) for x, y in zip(ours, theirs, strict=True))
    assert all(torch.equal(x, y) for x, y in zip(shared.tensors(), kept, strict=True))


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_rows_that_are_written_over_touch_no_state_that_was_picked(kind: str) -> None:
    model = language_model(kind)
    with torch.inference_mode():
        _, state = prefill(model, [[3, 4, 5]] * 3)
        _, state = model(torch.tensor([[5], [6], [7]]), state)
        picked = state.select([1])
        _, newcomer = prefill(model, [[9, 9, 8, 8]])
        expected = after(model, state.select([1]), [11, 12])
        for tensor, new in zip(state.tensors(), newcomer.tensors(), strict=True):
            assert tensor[1:2].shape == new.shape
            tensor[1] = new[0]
        logits, state = model(torch.tensor([[1], [2], [3]]), state)
        found = after(model, picked, [11, 12])
        alone = after(model, newcomer, [2])[0]
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))
    torch.testing.assert_close(logits[1:2], alone)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_room_is_counted_and_is_not_kept_with_a_copy(kind: str) -> None:
    model = language_model(kind)
    with torch.inference_mode():
        _, state = prefill(model, [[3, 4, 5]])
        without = state.nbytes
        _, state = model(torch.tensor([[5]]), state)
        copied = state.map(torch.clone)
    assert isinstance(state, CacheState)
    assert state.room is not None
    assert state.nbytes > state.room.nbytes > without
    assert isinstance(copied, CacheState)
    assert copied.room is None
    assert copied.nbytes == sum(tensor.nbytes for tensor in state.tensors()) < state.nbytes
