"""Models are stored and read as what they are, and what is damaged is refused."""

from pathlib import Path

import pytest
import torch
from recurrent_models import make_model, random_tokens

from lmcore.errors import IntegrityError
from lmcore.model.config import ModelConfig
from lmcore.model.factory import load_model, new_model, save_model


@pytest.mark.parametrize("tied", [False, True])
@torch.no_grad()
def test_saved_and_loaded_gives_the_same_logits(tmp_path: Path, tied: bool) -> None:
    model = make_model("LAL", tied=tied, pointer=tied)
    save_model(model, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "model.json"}
    loaded = load_model(tmp_path)
    tokens = random_tokens((2, 9), seed=1, ends=0.2)
    assert torch.equal(loaded(tokens)[0], model(tokens)[0])
    assert loaded.config == model.config
    assert not loaded.training


def test_saving_is_byte_for_byte_repeatable(tmp_path: Path) -> None:
    blobs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_model(make_model("LA"), tmp_path / name)
        blobs.append((tmp_path / name / "model.safetensors").read_bytes())
    assert blobs[0] == blobs[1]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.json", b"{"),
        ("model.json", b'{"config": {"pattern": "Q"}, "vocab_size": 11, "end_id": 10}'),
        ("model.json", b'{"config": {"d_model": 24}, "vocab_size": 11, "end_id": 10}'),
        ("model.json", b'{"config": {}, "vocab_size": 11, "end_id": 11}'),
        ("model.safetensors", b"not tensors at all"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    save_model(make_model(), tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IntegrityError, match="nothing was loaded") as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"model\.json"):
        load_model(tmp_path)


def test_a_new_model_is_a_function_of_its_seed_and_leaves_randomness_alone() -> None:
    shape = ModelConfig(pattern="LA", d_model=16, num_heads=2, head_dim=4, window=8)
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    first, again, other = (
        new_model(shape, vocab_size=11, end_id=10, seed=seed, device="cpu").state_dict()
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.rand(2), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
