"""A stored model of an earlier release is read as the same function."""

from pathlib import Path

import torch
from recurrent_models import make_model, random_tokens
from safetensors.torch import load_file, save_file

from lmcore.model.factory import load_model, save_model


def test_a_model_of_before_the_bias_is_the_same_function(tmp_path: Path) -> None:
    model = make_model()
    with torch.no_grad():
        model.head_bias.zero_()
    save_model(model, tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    del weights["head_bias"]
    save_file(weights, path)
    tokens = random_tokens((2, 7), seed=0, ends=0.1)
    assert torch.equal(load_model(tmp_path)(tokens)[0], model(tokens)[0])
