"""Prompts that were read before: found whole or in part, by whom they are shared with, bounded."""

import torch
from language_models import language_model

from lmcore.engine.read_before import Beginning, ReadBefore
from lmcore.model.language_model import LanguageModel

MODEL: LanguageModel = language_model("scratch")


def beginning(tokens: int, *, whole: bool) -> Beginning:
    logits = torch.zeros(1, MODEL.vocab_size) if whole else None
    return Beginning(tokens=tokens, state=MODEL.fresh_state(1), logits=logits)


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
    kept = ReadBefore(chunk_tokens=4, most_bytes=2 * one.nbytes)
    a, b, c = (kept.names([i], shared_with="")[0] for i in range(3))
    for name in (a, b):
        kept.keep(name, beginning(2, whole=True))
    assert kept.longest([a]) is not None
    kept.keep(c, beginning(2, whole=True))
    assert kept.nbytes == 2 * one.nbytes
    assert [kept.longest([name]) is not None for name in (a, b, c)] == [True, False, True]
    kept.keep(c, beginning(2, whole=True))  # again: counted once
    assert kept.nbytes == 2 * one.nbytes


def test_what_is_larger_than_all_is_not_kept() -> None:
    small = beginning(1, whole=False)
    kept = ReadBefore(chunk_tokens=1, most_bytes=small.nbytes)
    first, second = kept.names([1, 2], shared_with="")
    kept.keep(first, small)
    kept.keep(second, beginning(2, whole=True))
    assert kept.longest([second]) is None
    # Nor did it drive out what is kept.
    assert kept.longest([first, second]) is not None
    assert kept.nbytes == small.nbytes


def test_what_a_state_is_a_view_into_is_not_kept() -> None:
    kept = ReadBefore(chunk_tokens=4, most_bytes=1 << 20)
    (name,) = kept.names([1, 2], shared_with="a")
    large = MODEL.fresh_state(8)
    one = large.map(lambda tensor: tensor[:1])
    kept.keep(name, Beginning(tokens=2, state=one, logits=None))
    (found,) = kept._kept.values()
    assert found.nbytes == one.nbytes
    for tensor, view in zip(found.state.tensors(), one.tensors(), strict=True):
        assert torch.equal(tensor, view)
        assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_a_model_that_goes_on_in_the_memory_it_read_in_changes_nothing_that_is_kept() -> None:
    kept = ReadBefore(chunk_tokens=4, most_bytes=1 << 20)
    (name,) = kept.names([1, 2], shared_with="a")
    state = MODEL.fresh_state(1)
    kept.keep(name, Beginning(tokens=2, state=state, logits=None))
    for tensor in state.tensors():
        tensor.fill_(1)
    (found,) = kept._kept.values()
    assert not any(tensor.any() for tensor in found.state.tensors())
