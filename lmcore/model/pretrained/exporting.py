"""A model that was gone on from as a folder of the library's own form, whole.

In: a model.  Out: `config.json`, `generation_config.json` and `model.safetensors` in float32; what
learnt beside its matrices is added to them.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from torch import nn

from lmcore.model.pretrained.library import library
from lmcore.model.pretrained.lora import fold_lora
from lmcore.model.pretrained.model import PretrainedLM


def export_pretrained(model: PretrainedLM, folder: Path) -> None:
    """Write the files into an existing folder; the model stays as it is."""
    whole = merged(model.inner)
    whole.config.bos_token_id = whole.config.eos_token_id = model.end_id
    with library():
        whole.save_pretrained(folder, safe_serialization=True)


def merged(inner: nn.Module) -> Any:
    """A copy in which small matrices are part of those beside which they learnt."""
    whole = copy.deepcopy(inner)
    fold_lora(whole)
    return whole
