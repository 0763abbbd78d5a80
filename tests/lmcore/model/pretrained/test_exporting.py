"""A model that was gone on from is whole where the library reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("transformers")
import torch
from language_models import KINDS, language_model, random_tokens
from safetensors.torch import load_file

from lmcore.model.exporting import export_model


@pytest.mark.parametrize("adapt", ["lora", "full"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "scratch"])
def test_a_model_that_was_gone_on_from_is_whole(tmp_path: Path, kind: str, adapt: str) -> None:
    import transformers

    model = language_model(kind, adapt=adapt)
    before = model(torch.tensor([[0, 5, 6]]))[0]
    export_model(model, tmp_path)
    assert torch.equal(model(torch.tensor([[0, 5, 6]]))[0], before)
    config = json.loads((tmp_path / "config.json").read_text())
    assert "lmcore" not in json.dumps(config)
    assert not [name for name in load_file(tmp_path / "model.safetensors") if "lora" in name]
    whole = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    tokens = random_tokens(model, (1, 12), seed=3, ends=0.0)
    tokens[0, 0] = model.end_id
    with torch.inference_mode():
        expected, _ = model(tokens)
        found = whole(tokens).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
