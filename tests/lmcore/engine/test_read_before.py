"""Prompts that were read before: found whole or in part, by whom they are shared with, bounded."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from language_models import language_model

from lmcore.engine.read_before import Beginning, ReadBefore, _Filled
from lmcore.model.generation import inference
from lmcore.model.language_model import LanguageModel
from lmcore.model.state import State

MODEL: LanguageModel = language_model("scratch")


def beginning(tokens: int, *, whole: bool) -> Beginning:
    logits = torch.zeros(1, MODEL.vocab_size) if whole else None
    return Beginning(tokens=tokens, state=full_state(), logits=logits)


def full_state() -> State:
    """Without an empty place."""
    return MODEL.fresh_state(1).map(torch.ones_like)


def nbytes(one: Beginning) -> int:
    return one.state.nbytes + (0 if one.logits is None else one.logits.nbytes)


def test_the_longest_beginning_is_found_and_a_whole_prompt_with_its_logits_alone() -> None:
    kept = ReadBefore(chunk_tokens=4, most_bytes=1 << 20)
    names = kept.names(range(10), shared_with="a")
    assert len(names) == 3
    assert kept.longest(names) is None
    kept.keep(names[0], beginning(4, whole=False))
    kept.keep(names[1], beginning(8, whole=False))
    found = kept.longest(names)
    assert found is not None
    assert found.tokens == 8
    # The same tokens as a whole prompt: what comes next is not known.
    found = kept.longest(kept.names(range(8), shared_with="a"))
    assert found is not None
    assert found.tokens == 4
    kept.keep(names[2], beginning(10, whole=True))
    found = kept.longest(names)
    assert found is not None
    assert found.tokens == 10


def test_others_find_nothing_and_other_tokens_are_others() -> None:
    kept = ReadBefore(chunk_tokens=4, most_bytes=1 << 20)
    (name,) = kept.names([1, 2], shared_with="a")
    kept.keep(name, beginning(2, whole=True))
    assert kept.longest(kept.names([1, 2], shared_with="a")) is not None
    assert kept.longest(kept.names([1, 2], shared_with="b")) is None
    assert kept.longest(kept.names([2, 1], shared_with="a")) is None
    assert kept.longest(kept.names([1, 2, 3], shared_with="a")) is None


def test_what_was_not_asked_for_longest_goes_first() -> None:
    one = beginning(2, whole=True)
    kept = ReadBefore(chunk_tokens=4, most_bytes=2 * nbytes(one))
    a, b, c = (kept.names([i], shared_with="")[0] for i in range(3))
    for name in (a, b):
        kept.keep(name, beginning(2, whole=True))
    assert kept.longest([a]) is not None
    kept.keep(c, beginning(2, whole=True))
    assert kept.nbytes == 2 * nbytes(one)
    assert [kept.longest([name]) is not None for name in (a, b, c)] == [True, False, True]
    kept.keep(c, beginning(2, whole=True))  # again: counted once
    assert kept.nbytes == 2 * nbytes(one)


def test_what_is_larger_than_all_is_not_kept() -> None:
    small = beginning(1, whole=False)
    kept = ReadBefore(chunk_tokens=1, most_bytes=nbytes(small))
    first, second = kept.names([1, 2], shared_with="")
    kept.keep(first, small)
    kept.keep(second, beginning(2, whole=True))
    assert kept.longest([second]) is None
    # Nor did it drive out what is kept.
    assert kept.longest([first, second]) is not None
    assert kept.nbytes == nbytes(small)


def test_what_a_state_is_a_view_into_is_not_kept() -> None:
    kept = ReadBefore(chunk_tokens=4, most_bytes=1 << 20)
    (name,) = kept.names([1, 2], shared_with="a")
    large = MODEL.fresh_state(8).map(torch.ones_like)
    one = large.map(lambda tensor: tensor[:1])
    kept.keep(name, Beginning(tokens=2, state=one, logits=None))
    assert kept.nbytes == one.nbytes
    (held,) = kept._kept.values()
    for filled, view in zip(held._filled, one.tensors(), strict=True):
        assert torch.equal(filled.tensor(), view)
        assert filled.places.untyped_storage().nbytes() == filled.places.nbytes


def test_a_model_that_goes_on_in_the_memory_it_read_in_changes_nothing_that_is_kept() -> None:
    kept = ReadBefore(chunk_tokens=4, most_bytes=1 << 20)
    names = kept.names([1, 2, 3, 4, 5], shared_with="a")
    state = full_state()
    kept.keep(names[0], Beginning(tokens=4, state=state, logits=None))
    for tensor in state.tensors():
        tensor.fill_(0)
    found = kept.longest(names)
    assert found is not None
    assert all(tensor.all() for tensor in found.state.tensors())


def test_a_short_prompt_takes_the_memory_of_its_tokens() -> None:
    kept = ReadBefore(chunk_tokens=64, most_bytes=1 << 20)
    with inference(MODEL):
        _, state = MODEL.features(torch.tensor([[1, 2, 3]]), MODEL.fresh_state(1))
    names = kept.names(range(65), shared_with="a")
    kept.keep(names[0], Beginning(tokens=3, state=state, logits=None))
    window = MODEL.config.window
    assert kept.nbytes < state.nbytes * (3 + window / 4) / window
    found = kept.longest(names)
    assert found is not None
    for tensor, before in zip(found.state.tensors(), state.tensors(), strict=True):
        assert torch.equal(tensor, before)


@given(
    lead=st.lists(st.integers(1, 3), max_size=2),
    places=st.lists(st.sampled_from([0.0, -0.0, 1.5]), max_size=6),
    width=st.integers(0, 3),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool]),
    across=st.booleans(),
)
def test_each_tensor_comes_back_bit_for_bit(
    lead: list[int], places: list[float], width: int, dtype: torch.dtype, across: bool
) -> None:
    column = torch.tensor(places, dtype=torch.float32).to(dtype)
    tensor = column[:, None].repeat(*lead, 1, width)
    if across:
        tensor = tensor.mT.contiguous().mT
    back = _Filled.of(tensor).tensor()
    assert back.shape == tensor.shape
    assert back.dtype == dtype
    whole, other = (one.contiguous().view(torch.uint8) for one in (back, tensor))
    assert torch.equal(whole, other)
