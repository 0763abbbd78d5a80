"""The library's models are read quietly, whole, and changed only beside their weights."""

from pathlib import Path

import pytest

pytest.importorskip("transformers")
import torch
from pretrained_models import KINDS, library_model, write_library_folder
from safetensors.torch import load_file, save_file

from lmcore.errors import ConfigError, IntegrityError
from lmcore.model.pretrained.library import head_of, library, load_inner

IDS = torch.arange(1, 9)[None]


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_apart_gives_the_logits_of_the_whole(kind: str) -> None:
    with library():
        inner = library_model(kind, 300)
        with torch.no_grad():
            whole = inner(IDS, attention_mask=torch.ones_like(IDS)).logits
            states = inner.base_model(IDS, attention_mask=torch.ones_like(IDS)).last_hidden_state
            apart = head_of(inner)(inputs_embeds=states, use_cache=False).logits
    torch.testing.assert_close(apart, whole)


def test_weights_that_are_missing_are_never_made_up(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match=r"do not fit \(the first: model.layers.1.mlp.up_proj"):
        load_inner(folder)


def test_damage_is_one_sentence(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IntegrityError, match="not a pretrained model that can be read"):
        load_inner(folder)


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ConfigError, match=r"pip install 'lmcore\[pretrained\]'"), library():
        pass
