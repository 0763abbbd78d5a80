"""The recurrent + attention model as a folder that `transformers` loads with the model's own code.

In: a model.  Out: `config.json`, `model.safetensors`, and Python files: the modules that the model
follows from, as they are, with imports of each other made relative, and one that gives them the
form of the library.  So the folder needs torch, transformers and pydantic, and nothing of lmcore.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import torch
from safetensors.torch import save_file

from lmcore.code_closure import closure
from lmcore.durable import atomic_write
from lmcore.model.recurrent.model import RecurrentAttentionLM

_MODEL = "lmcore.model.recurrent.model"
_FORM = "modeling_lmcore.py"
_IMPORT = re.compile(r"^(\s*)from (lmcore[\w.]*) import ", re.MULTILINE)


def export_recurrent(model: RecurrentAttentionLM, folder: Path) -> None:
    """Write the files into an existing folder."""
    record = model.record()
    config = {
        "architectures": ["LmcoreForCausalLM"],
        "auto_map": {
            "AutoConfig": "modeling_lmcore.LmcoreConfig",
            "AutoModelForCausalLM": "modeling_lmcore.LmcoreForCausalLM",
        },
        "model_type": "lmcore",
        "shape": record["config"],
        "vocab_size": record["vocab_size"],
        "bos_token_id": record["end_id"],
        "eos_token_id": record["end_id"],
        "hidden_size": model.config.d_model,
        "num_hidden_layers": len(model.config.pattern),
        "tie_word_embeddings": False,
        "use_cache": False,
        "dtype": "float32",
    }
    atomic_write(folder / "config.json", json.dumps(config, indent=1))
    weights = {
        f"model.{name}": tensor.detach().to("cpu", torch.float32).contiguous()
        for name, tensor in model.state_dict().items()
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for module in closure(_MODEL):
        source = _source(module)
        if source.strip():
            atomic_write(folder / f"{_flat(module)}.py", _relative(source))
    form = Path(__file__).with_name(f"{_FORM}.in").read_text(encoding="utf-8")
    atomic_write(folder / _FORM, form)


def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    return Path(spec.origin).read_text(encoding="utf-8")


def _relative(source: str) -> str:
    return _IMPORT.sub(lambda found: f"{found[1]}from .{_flat(found[2])} import ", source)


def _flat(module: str) -> str:
    return module.replace(".", "_")
