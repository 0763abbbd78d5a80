"""Steps that are written out are taken where they are what the library says, and nowhere else.

That they are, to the last bit, `test_body.py` tells of each architecture.
"""

import pytest

pytest.importorskip("transformers")
import torch
from architectures import READ, attended_as_loaded
from language_models import language_model

from lmcore.model.generation import prefill
from lmcore.model.pretrained.body import Body
from lmcore.model.pretrained.stepping import step_of

#: Whose blocks are of the form that is written out; Granite's while its multipliers are 1.
WRITTEN_OUT = {"llama", "qwen2", "granite"}


@pytest.mark.parametrize("name", READ)
def test_whose_steps_are_written_out(name: str) -> None:
    assert (Body(attended_as_loaded(name)).step is not None) == (name in WRITTEN_OUT)


def test_of_the_same_parts_another_function_is_noticed() -> None:
    body = Body(attended_as_loaded("granite"))
    assert step_of(body.inner) is not None
    for block in body.inner.model.layers:
        block.residual_multiplier = 1 + 2**-20
    assert body.step is None


def test_who_looks_on_is_told() -> None:
    model = language_model("llama")
    seen = []
    with torch.inference_mode():
        _, state = prefill(model, [[3, 4]])
        _, state = model(torch.tensor([[5]]), state)
        block = model.inner.model.layers[1]
        watch = block.register_forward_hook(lambda *_: seen.append(1))
        _, state = model(torch.tensor([[6]]), state)
        watch.remove()
        model(torch.tensor([[6]]), state)
    assert len(seen) == 1
