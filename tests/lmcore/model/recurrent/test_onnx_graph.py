"""A model as an ONNX graph says what it says itself, step by step, whoever carries the state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
import numpy as np
import onnxruntime
import torch
from recurrent_models import END, VOCAB, make_model

from lmcore.model.recurrent.onnx_graph import export_onnx


def run(folder: Path, tokens: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Scores behind each token, [B, T, V], by a program that knows the description alone."""
    told = json.loads((folder / "lmcore.json").read_text())
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    state = {
        one["input"]: np.full([len(tokens), *one["shape"][1:]], one["fresh"], dtype=one["type"])
        for one in told["state"]
    }
    names = [told["logits"]["output"], *(one["output"] for one in told["state"])]
    found = []
    for step in range(tokens.shape[1]):
        logits, *after = session.run(
            names, {told["token"]["input"]: tokens[:, step : step + 1], **state}
        )
        found.append(logits)
        state = {one["input"]: tensor for one, tensor in zip(told["state"], after, strict=True)}
    return np.stack(found, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "pointer"), [("LA", False), ("LRA", True)])
def test_the_graph_says_what_the_model_says(tmp_path: Path, pattern: str, pointer: bool) -> None:
    model = make_model(pattern, pointer=pointer)
    export_onnx(model, tmp_path)
    for lanes in (1, 3):
        tokens = torch.randint(0, VOCAB, (lanes, 20), generator=torch.Generator().manual_seed(3))
        tokens[:, 0] = END
        tokens[0, 11] = END  # a document ends and another one starts
        with torch.inference_mode():
            wanted = model.logits(model.features(tokens)[0]).numpy()
        assert run(tmp_path, tokens.numpy()) == pytest.approx(wanted, abs=1e-4)
