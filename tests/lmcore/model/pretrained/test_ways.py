"""Which way of reading is true of a model, over many architectures of the library."""

import pytest

pytest.importorskip("transformers")
import torch
from architectures import READ, REFUSED, tiny_model

from lmcore.model.pretrained.body import Body
from lmcore.model.pretrained.library import library
from lmcore.model.pretrained.lora import add_lora
from lmcore.model.pretrained.masks import sliding_window
from lmcore.model.pretrained.ways import causal, misread

#: Of those that pack, how masks are taken where layers see a sliding window.
SLIDING = {
    "mistral": "sliding",
    "ministral": "sliding",
    "exaone4": "sliding",
    "qwen2 sliding": "by layer",
    "gemma2": "by layer",
    "gemma3": "by layer",
    "cohere2": "by layer",
    "gpt_oss": "by layer",
}
APART = {"bloom", "falcon alibi", "mamba", "mamba2", "falcon_mamba", "falcon_h1", "jamba", "bamba"}
APART |= {"lfm2", "qwen3_next"}


@pytest.mark.parametrize("name", READ)
def test_an_architecture_is_read_as_the_library_reads_each_document_alone(name: str) -> None:
    inner = tiny_model(name)
    assert causal(inner)
    body = Body(inner)
    assert body.form == (None if name in APART else SLIDING.get(name, "alike"))
    before = sliding_window(inner)
    assert misread(body) == ""
    assert sliding_window(inner) == before


@pytest.mark.parametrize("name", READ)
def test_small_matrices_stand_where_they_learn(name: str) -> None:
    inner = tiny_model(name).requires_grad_(False)
    add_lora(inner, rank=2, seed=0)
    body = Body(inner)
    with library():
        states = body.states(torch.arange(1, 13)[None], None)
    (states * torch.linspace(-1, 1, states.shape[-1])).sum().backward()
    second = [p.grad for n, p in inner.named_parameters() if "lora_B" in n]
    assert second
    assert all(gradient is not None and gradient.any() for gradient in second)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_in_parts_is_found_out(name: str) -> None:
    inner = tiny_model(name)
    try:
        wrong = misread(Body(inner)) or not causal(inner)
    except Exception as error:  # whatever the library raises
        wrong = str(error)
    assert wrong


def test_a_mask_that_is_ignored_is_noticed() -> None:
    inner = tiny_model("llama")
    plain = inner.model.forward

    def deaf(*args: object, attention_mask: object = None, **options: object) -> object:
        return plain(*args, **options)

    body = Body(inner)
    inner.model.forward = deaf
    assert misread(body) == "read as a whole"
