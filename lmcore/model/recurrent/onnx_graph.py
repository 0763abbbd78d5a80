"""One step of the recurrent + attention model as an ONNX graph.

In: a model.  Out: `model.onnx`, which reads a token and a state and gives scores and the state
after it, and `lmcore.json`, which names these in order.  A document starts with the end token on a
state of zeros; the lanes of a batch are independent.  Whoever runs the graph carries the state.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmcore.durable import atomic_write
from lmcore.errors import ConfigError
from lmcore.model.recurrent.model import RecurrentAttentionLM
from lmcore.model.state import State

ONNX_FILE = "model.onnx"
DESCRIPTION_FILE = "lmcore.json"
_TOKEN, _LOGITS = "token", "logits"
# Lanes of the example that the graph is traced with; one would be taken for a constant.
_LANES = 2


class _Step(nn.Module):
    """The model as a function of tensors alone."""

    def __init__(self, model: RecurrentAttentionLM) -> None:
        super().__init__()
        self.model = model
        self._form = model.fresh_state(1)

    def forward(self, token: Tensor, state: list[Tensor]) -> tuple[Tensor, ...]:
        """Token [B, 1] and the tensors of a state; returns logits [B, V] and those after it."""
        before: State = self._form.replaced(state)
        features, after = self.model.features(token, before)
        return (self.model.logits(features.last()), *after.tensors())


def export_onnx(model: RecurrentAttentionLM, folder: Path) -> None:
    """Write the files into an existing folder.

    Raises:
        ConfigError: If the extra is missing.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"{error.name} is not installed; install it with `pip install 'lmcore[onnx]'`"
        ) from error
    step = _Step(model.to("cpu").eval())
    token = torch.full((_LANES, 1), model.end_id)
    # A tensor that stands in two places would be taken for one input.
    state = [tensor.clone() for tensor in model.fresh_state(_LANES).tensors()]
    names = [f"state_{index}" for index in range(len(state))]
    lanes = torch.export.Dim("lanes", min=1)
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        step(token, state)  # tables that are kept between calls are made outside the trace
        program = torch.onnx.export(
            step,
            (token, state),
            dynamo=True,
            input_names=[_TOKEN, *names],
            output_names=[_LOGITS, *(f"{name}_after" for name in names)],
            dynamic_shapes=({0: lanes}, [{0: lanes} for _ in state]),
            verbose=False,
        )
        assert program is not None
        program.save(str(folder / ONNX_FILE))
    atomic_write(folder / DESCRIPTION_FILE, json.dumps(_described(model, names, state), indent=1))


def _described(
    model: RecurrentAttentionLM, names: list[str], state: list[Tensor]
) -> dict[str, Any]:
    return {
        "end_id": model.end_id,
        "vocab_size": model.vocab_size,
        "token": {"input": _TOKEN, "shape": ["lanes", 1], "type": "int64"},
        "logits": {"output": _LOGITS, "shape": ["lanes", model.vocab_size], "type": "float32"},
        "state": [
            {
                "input": name,
                "output": f"{name}_after",
                "shape": ["lanes", *tensor.shape[1:]],
                "type": str(tensor.dtype).removeprefix("torch."),
                "fresh": 0,
            }
            for name, tensor in zip(names, state, strict=True)
        ],
    }
