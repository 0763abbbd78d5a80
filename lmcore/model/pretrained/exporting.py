"""A model that was gone on from as a folder of the library's own form, whole.

In: a model.  Out: `config.json`, `generation_config.json` and `model.safetensors` in float32; what
learnt beside its matrices is added to them.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lmcore.model.pretrained.library import library
from lmcore.model.pretrained.model import PretrainedLM


def export_pretrained(model: PretrainedLM, folder: Path) -> None:
    """Write the files into an existing folder; the model stays as it is."""
    whole = merged(model.inner)
    whole.config.bos_token_id = whole.config.eos_token_id = model.end_id
    with library():
        whole.save_pretrained(folder, safe_serialization=True)


@torch.no_grad()
def merged(inner: nn.Module) -> Any:
    """A copy in which small matrices are part of those beside which they learnt."""
    whole: Any = copy.deepcopy(inner)
    with library():
        from peft.tuners.tuners_utils import BaseTunerLayer

        beside = [n for n, part in whole.named_modules() if isinstance(part, BaseTunerLayer)]
        for name in beside:
            part = whole.get_submodule(name)
            part.merge()
            parent, _, leaf = name.rpartition(".")
            setattr(whole.get_submodule(parent), leaf, part.get_base_layer())
    return whole
