"""A model from random weights is the same for a program that has no lmcore."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
import torch

from lmcore.data.config import TokenizerConfig
from lmcore.data.tokens.tokenizer import train_tokenizer
from lmcore.model.config import ModelConfig
from lmcore.model.exporting import export_model
from lmcore.model.factory import new_model
from lmcore.version_export import _write_tokenizer

TEXT = "Fellow citizens: the year 1801 was one of peace.\n\nA caf\u00e9, \u6771\u4eac!"
_READ = """
import json, sys
sys.modules["lmcore"] = None  # as if it were not installed
import torch, transformers
folder, text = sys.argv[1:]
model = transformers.AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).eval()
tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
ids = tokenizer(text, return_tensors="pt").input_ids
with torch.inference_mode():
    logits = model(ids).logits[0]
written = model.generate(ids, max_new_tokens=5, do_sample=False)
labelled = model(ids, labels=ids).loss
print(json.dumps({
    "ids": ids[0].tolist(), "logits": logits.tolist(), "text": tokenizer.decode(ids[0, 1:]),
    "written": written[0].tolist(), "end": tokenizer.eos_token_id, "loss": float(labelled),
}))
"""


def read(folder: Path, text: str = TEXT) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _READ, str(folder), text],
        cwd=folder.parent,
        env={"HF_HOME": str(folder.parent / "hf"), "HF_HUB_OFFLINE": "1", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape", [{}, {"pattern": "LRA", "pointer": True, "tie_embeddings": False}]
)
def test_a_model_from_random_weights_brings_its_own_code(
    tmp_path: Path, shape: dict[str, Any]
) -> None:
    tokenizer = train_tokenizer(
        [TEXT * 20], config=TokenizerConfig.model_validate({"kind": "bpe", "vocab_size": 300})
    )
    small = {"pattern": "LA", "d_model": 16, "num_heads": 2, "head_dim": 4, "window": 5}
    model = new_model(
        ModelConfig.model_validate({**small, **shape}),
        vocab_size=tokenizer.vocab_size,
        end_id=tokenizer.end_id,
        seed=0,
        device="cpu",
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1
            )
    saved, out = tmp_path / "tokenizer", tmp_path / "out"
    saved.mkdir()
    out.mkdir()
    tokenizer.save(saved)
    export_model(model, out)
    _write_tokenizer(tokenizer, saved, out)
    found = read(out)
    ids = [tokenizer.end_id, *tokenizer.encode(TEXT)]
    assert (found["ids"], found["text"], found["end"]) == (ids, TEXT, tokenizer.end_id)
    with torch.inference_mode():
        expected = model(torch.tensor([ids]))[0][0]
        torch.testing.assert_close(torch.tensor(found["logits"]), expected, atol=1e-5, rtol=0)
        # Read greedily it goes on with the likeliest tokens.
        tokens = list(ids)
        while len(tokens) < len(found["written"]):
            tokens.append(int(model(torch.tensor([tokens]))[0][0, -1].argmax()))
    assert found["written"] == tokens
    nll = torch.nn.functional.cross_entropy(expected[:-1], torch.tensor(ids[1:]))
    assert found["loss"] == pytest.approx(float(nll), abs=1e-4)
    for path in out.glob("*.py"):
        assert "from lmcore" not in path.read_text(encoding="utf-8")
