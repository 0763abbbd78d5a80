"""Small matrices beside a model of the library: all of them learn, from what changes nothing."""

import pytest

pytest.importorskip("transformers")
import torch
from pretrained_models import KINDS, library_model

from lmcore.model.pretrained.library import library
from lmcore.model.pretrained.lora import add_lora

IDS = torch.arange(1, 9)[None]


@pytest.mark.parametrize("kind", KINDS)
def test_what_learns_beside_a_model_changes_nothing_at_first_and_all_of_it_is_seen(
    kind: str,
) -> None:
    with library():
        inner = library_model(kind, 300)
        inner.requires_grad_(False)
        before = inner(IDS, attention_mask=torch.ones_like(IDS)).logits
        add_lora(inner, rank=4, seed=0)
        after = inner(IDS, attention_mask=torch.ones_like(IDS)).logits
        assert torch.equal(before, after)
        after.sum().backward()
    learning = {name: p for name, p in inner.named_parameters() if p.requires_grad}
    assert learning
    assert all("lora_" in name for name in learning)
    # Every second matrix gets a gradient: none lies beside a weight that is never called.
    assert all(p.grad is not None and p.grad.any() for n, p in learning.items() if "lora_B" in n)


def test_the_matrices_are_a_function_of_their_seed() -> None:
    found = []
    for seed in (0, 0, 1):
        with library():
            inner = library_model("llama", 300)
            torch.rand(3)
            add_lora(inner, rank=4, seed=seed)
        found.append({n: p for n, p in inner.named_parameters() if "lora_A" in n})
    first, again, other = found
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
