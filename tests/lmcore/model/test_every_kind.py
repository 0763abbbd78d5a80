"""What holds of every language model, whichever kind it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from language_models import CONTEXT, KINDS, language_model, random_tokens

from lmcore.model.factory import load_model, save_model
from lmcore.model.language_model import LanguageModel
from lmcore.model.loss import sequence_loss
from lmcore.model.pretrained import shelf
from lmcore.model.state import State

# Logits here are about 1 to 10; sums in another order differ in the sixth digit.
CLOSE = {"atol": 1e-4, "rtol": 1e-4}

every_kind = pytest.mark.parametrize("kind", KINDS)
_pretrained: dict[str, LanguageModel] = {}


def any_model(kind: str, data: st.DataObject) -> LanguageModel:
    """A model from random weights of any pattern, or one that goes on from a base."""
    if kind != "scratch":
        if kind not in _pretrained:
            _pretrained[kind] = language_model(kind)
        return _pretrained[kind]
    return language_model(
        kind,
        seed=data.draw(st.integers(0, 1000), label="seed"),
        vocab_size=11,
        pattern=data.draw(st.text(alphabet="LRA", min_size=1, max_size=4), label="pattern"),
        window=data.draw(st.integers(1, 30), label="window"),
        pointer=data.draw(st.booleans(), label="pointer"),
    )


def any_tokens(model: LanguageModel, data: st.DataObject) -> torch.Tensor:
    """Tokens [B, T] of several documents a lane, or of one longer than three windows."""
    lanes, length = data.draw(st.tuples(st.integers(1, 4), st.integers(2, 3 * CONTEXT + 5)))
    return random_tokens(
        model,
        (lanes, length),
        seed=data.draw(st.integers(0, 1000), label="seed of tokens"),
        ends=data.draw(st.sampled_from([0.0, 0.05, 0.5]), label="share of ends"),
    )


def same_function(model: LanguageModel, one: State, other: State) -> None:
    """Two states from which whatever is read next gives the same."""
    more = random_tokens(model, (one.num_lanes, CONTEXT + 3), seed=99, ends=0.0)
    torch.testing.assert_close(model(more, one)[0], model(more, other)[0], **CLOSE)


def documents(tokens: torch.Tensor, end_id: int) -> list[torch.Tensor]:
    """A row cut before each end token."""
    starts = [0, *(place for place in (tokens == end_id).nonzero().flatten().tolist() if place)]
    return [tokens[a:b] for a, b in zip(starts, [*starts[1:], len(tokens)], strict=True)]


@every_kind
@given(data=st.data())
@settings(deadline=None, max_examples=20)
@torch.no_grad()
def test_reading_in_chunks_equals_reading_whole(kind: str, data: st.DataObject) -> None:
    model = any_model(kind, data)
    tokens = any_tokens(model, data)
    whole, whole_state = model(tokens)
    parts = []
    state = None
    start = 0
    while start < tokens.shape[1]:
        size = data.draw(st.integers(1, tokens.shape[1] - start), label="chunk")
        logits, state = model(tokens[:, start : start + size], state)
        parts.append(logits)
        start += size
    torch.testing.assert_close(torch.cat(parts, 1), whole, **CLOSE)
    assert state is not None
    same_function(model, state, whole_state)


@every_kind
@given(data=st.data())
@settings(deadline=None, max_examples=10)
@torch.no_grad()
def test_prefill_then_step_by_step_equals_parallel(kind: str, data: st.DataObject) -> None:
    model = any_model(kind, data)
    tokens = any_tokens(model, data)
    whole, _ = model(tokens)
    start = data.draw(st.integers(0, tokens.shape[1] - 1), label="prefill")
    state = model(tokens[:, :start])[1] if start else None
    for position in range(start, tokens.shape[1]):
        logits, state = model(tokens[:, position : position + 1], state)
        torch.testing.assert_close(logits[:, 0], whole[:, position], **CLOSE)


@every_kind
@given(data=st.data())
@settings(deadline=None, max_examples=20)
@torch.inference_mode()
def test_single_tokens_read_in_their_own_form_are_read_the_same(
    kind: str, data: st.DataObject
) -> None:
    model = any_model(kind, data)
    tokens = any_tokens(model, data)
    whole, _ = model(tokens)
    start = data.draw(st.integers(0, tokens.shape[1] - 1), label="prefill")
    before = model(tokens[:, :start])[1] if start else model.fresh_state(len(tokens))
    kept = before.map(torch.clone)
    state = model.stepping(before)
    for position in range(start, tokens.shape[1]):
        logits, state = model(tokens[:, position : position + 1], state)
        torch.testing.assert_close(logits[:, 0], whole[:, position], **CLOSE)
        if data.draw(st.booleans(), label="lanes change places"):
            order = torch.arange(len(tokens)).roll(1)
            state, tokens, whole = state.select(order), tokens[order], whole[order]
            kept, before = kept.select(order), before.select(order)
    # The state that it was made of is as it was.
    for one, other in zip(before.tensors(), kept.tensors(), strict=True):
        assert torch.equal(one, other)


@every_kind
@torch.inference_mode()
def test_settled_it_says_the_same(kind: str) -> None:
    # Large enough for its matrices to be laid out anew.
    wide = {"d_model": 128, "embedding_dim": 128} if kind == "scratch" else {}
    model = language_model(kind, **wide)
    tokens = random_tokens(model, (3, 2 * CONTEXT), seed=1, ends=0.1)
    before, state = model(tokens)
    following, _ = model(tokens[:, :1], state)
    model.settle()
    after, state = model(tokens)
    torch.testing.assert_close(after, before, **CLOSE)
    torch.testing.assert_close(model(tokens[:, :1], state)[0], following, **CLOSE)
    assert not any(parameter.requires_grad for parameter in model.parameters())


@every_kind
@given(data=st.data())
@settings(deadline=None, max_examples=15)
@torch.no_grad()
def test_an_end_token_is_a_fresh_state(kind: str, data: st.DataObject) -> None:
    model = any_model(kind, data)
    tokens = any_tokens(model, data)
    lanes, length = tokens.shape
    position = length // 2
    tokens[:, position] = model.end_id
    before = model(random_tokens(model, (lanes, 9), seed=1, ends=0.1))[1]
    carried, carried_state = model(tokens, before)
    fresh, fresh_state = model(tokens[:, position:])
    torch.testing.assert_close(carried[:, position:], fresh, **CLOSE)
    same_function(model, carried_state, fresh_state)


@every_kind
@given(data=st.data())
@settings(deadline=None, max_examples=15)
@torch.no_grad()
def test_documents_in_one_row_are_what_each_is_alone(kind: str, data: st.DataObject) -> None:
    model = any_model(kind, data)
    tokens = any_tokens(model, data)
    together, _ = model(tokens)
    for lane, row in enumerate(tokens):
        alone = [model(text[None])[0][0] for text in documents(row, model.end_id)]
        torch.testing.assert_close(torch.cat(alone), together[lane], **CLOSE)


@every_kind
@torch.no_grad()
def test_nothing_before_an_end_token_changes_a_bit_after_it(kind: str) -> None:
    shapes = [{"pattern": p, "pointer": c} for p in ("L", "A", "RAL") for c in (False, True)]
    for shape in shapes if kind == "scratch" else [{}]:
        model = language_model(kind, **shape)
        tokens = random_tokens(model, (2, 40), seed=3, ends=0.0)
        tokens[0, 7], tokens[1, 22] = model.end_id, model.end_id
        other = tokens.clone()
        other[0, :7] = random_tokens(model, (1, 7), seed=4, ends=0.0)[0]
        first, second = model(tokens)[0], model(other)[0]
        assert not torch.equal(first[0, :7], second[0, :7])
        assert torch.equal(first[0, 7:], second[0, 7:])
        assert torch.equal(first[1], second[1])


@every_kind
def test_no_gradient_crosses_an_end_token(kind: str) -> None:
    model = language_model(kind)
    end = model.end_id
    tokens = torch.tensor([[1, 2, 3, end, 4, 5, 6, end, 8, 9]])
    features, _ = model.features(tokens)
    weights = torch.randn(features.vectors.shape[-1], generator=torch.Generator().manual_seed(0))
    (features.vectors[0, 3:7] * weights).sum().backward()
    gradient = model.token_vectors.grad
    assert gradient is not None
    assert not gradient[[1, 2, 3, 8, 9]].any()
    assert gradient[[4, 5, 6, end]].abs().sum(1).all()


@every_kind
def test_where_something_learns_a_text_is_gone_on_with_alike(kind: str) -> None:
    model = language_model(kind)
    tokens = random_tokens(model, (3, 2 * CONTEXT + 9), seed=6, ends=0.08)
    expected, state = model(tokens), None
    parts = []
    for chunk in torch.split(tokens, [5, 1, 20, tokens.shape[1] - 26], dim=1):
        logits, state = model(chunk, state)
        parts.append(logits)
    found = torch.cat(parts, 1)
    assert found.requires_grad
    torch.testing.assert_close(found, expected[0], **CLOSE)
    assert state is not None
    with torch.no_grad():
        same_function(model, state.detach(), model(tokens)[1])


@every_kind
def test_the_loss_of_a_row_is_the_sum_of_its_documents(kind: str) -> None:
    model = language_model(kind)
    tokens = random_tokens(model, (1, 3 * CONTEXT), seed=5, ends=0.0)
    tokens[0, [0, 5, 27]] = model.end_id
    targets = torch.roll(tokens, -1, 1)
    packed = sequence_loss(model, tokens, targets).sum_nll
    packed.backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    alone = sum(
        sequence_loss(model, tokens[:, a:b], targets[:, a:b]).sum_nll
        for a, b in ((0, 5), (5, 27), (27, 3 * CONTEXT))
    )
    assert isinstance(alone, torch.Tensor)
    alone.backward()
    torch.testing.assert_close(packed, alone, **CLOSE)
    for name, parameter in model.named_parameters():
        if name in gradients:
            scale = gradients[name].abs().max().item()
            close = {"atol": 1e-4 * max(scale, 1.0), "rtol": 1e-3}
            torch.testing.assert_close(parameter.grad, gradients[name], **close)


@every_kind
@given(data=st.data())
@settings(deadline=None, max_examples=20)
@torch.no_grad()
def test_a_changed_token_leaves_every_earlier_logit_bit_identical(
    kind: str, data: st.DataObject
) -> None:
    model = any_model(kind, data)
    tokens = any_tokens(model, data)
    position = data.draw(st.integers(1, tokens.shape[1] - 1), label="position")
    tokens[0, position] = 1
    changed = tokens.clone()
    changed[0, position] = data.draw(st.sampled_from([2, 3, 5, 8, 9]), label="token")
    first, second = model(tokens)[0], model(changed)[0]
    assert torch.equal(first[:, :position], second[:, :position])
    assert torch.equal(first[1:], second[1:])
    assert not torch.equal(first[0, position], second[0, position])


@every_kind
@given(data=st.data())
@settings(deadline=None, max_examples=10)
@torch.no_grad()
def test_lanes_and_padding_do_not_touch_each_other(kind: str, data: st.DataObject) -> None:
    model = any_model(kind, data)
    tokens = any_tokens(model, data)
    together = model(tokens)[0]
    for lane in range(len(tokens)):
        length = max(1, tokens.shape[1] - lane)
        alone = model(tokens[lane : lane + 1, :length])[0]
        torch.testing.assert_close(together[lane : lane + 1, :length], alone, **CLOSE)


@every_kind
@given(data=st.data())
@settings(deadline=None, max_examples=10)
@torch.no_grad()
def test_lanes_that_have_read_unequally_are_joined_and_picked(
    kind: str, data: st.DataObject
) -> None:
    model = any_model(kind, data)
    lengths = data.draw(st.lists(st.integers(1, 2 * CONTEXT + 3), min_size=1, max_size=4))
    read = [random_tokens(model, (1, n), seed=n, ends=0.1) for n in lengths]
    joined = State.concatenate([model(tokens)[1] for tokens in read])
    assert joined.num_lanes == len(lengths)
    order = data.draw(st.lists(st.sampled_from(range(len(lengths))), min_size=1, max_size=5))
    picked = joined.select(order)
    more = random_tokens(model, (len(order), CONTEXT + 3), seed=7, ends=0.05)
    together = torch.cat([*(logits for logits, _ in _steps(model, more, picked, size=4))], 1)
    for lane, index in enumerate(order):
        alone = model(torch.cat([read[index], more[lane : lane + 1]], 1))[0]
        torch.testing.assert_close(together[lane], alone[0, lengths[index] :], **CLOSE)


def _steps(model: LanguageModel, tokens: torch.Tensor, state: State, *, size: int) -> Any:
    for chunk in torch.split(tokens, size, dim=1):
        logits, state = model(chunk, state)
        yield logits, state


@every_kind
def test_memory_is_bounded_over_many_tokens_and_numbers_stay_finite(kind: str) -> None:
    model = language_model(kind, pointer=True)
    token = torch.tensor([[1]])
    state = model.fresh_state(1)
    sizes = []
    with torch.inference_mode():
        for _ in range(600):
            logits, state = model(token, state)
            token = logits[:, -1:].argmax(-1)
            token[token == model.end_id] = 1
            sizes.append(state.nbytes)
    assert max(sizes) == max(sizes[: CONTEXT + 1])
    assert torch.isfinite(logits).all()


@every_kind
def test_stored_and_read_it_is_the_same_function(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = language_model(kind, seed=3)
    tokens = random_tokens(model, (2, 2 * CONTEXT), seed=1, ends=0.1)
    if kind != "scratch":
        monkeypatch.setattr(shelf, "_roots", [model.base.path.parents[1]])  # type: ignore[union-attr]
    save_model(model, tmp_path)
    with torch.no_grad():
        assert torch.equal(load_model(tmp_path)(tokens)[0], model(tokens)[0])
