"""What a model is can be told without its weights, in memory and time that its files bound."""

import contextlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("transformers")
from pretrained_models import KINDS, write_gguf_file, write_library_folder

from lmcore.errors import ConfigError, SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained import inspection as module
from lmcore.model.pretrained.inspection import Inspected, alone, inspect_model, most_tokens
from lmcore.model.pretrained.places import find_place


def inspected(path: Path, **options: Any) -> Inspected:
    config = PretrainedConfig(pretrained=str(path), **options)
    return inspect_model(find_place(config), config, spdx={"mit": "MIT"}.get)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_folder(tmp_path: Path, kind: str) -> None:
    found = inspected(write_library_folder(tmp_path, kind))
    assert (found.vocab_size, found.end_id, found.license) == (300, 0, "unknown")
    assert found.most_tokens == (None if kind == "mamba" else 64)
    stored = sum(tensor.num_numbers for tensor in found.tensors.values())
    assert found.parameters == stored


def test_a_gguf_file_says_its_licence(tmp_path: Path) -> None:
    found = inspected(write_gguf_file(tmp_path / "small.gguf"))
    assert (found.architecture, found.license) == ("LlamaForCausalLM", "MIT")
    assert found.library_config is None
    assert inspected(tmp_path / "small.gguf", license="Apache-2.0").license == "Apache-2.0"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"block_count": 10**9}, "1,000,000,000 layers, but the files hold 20 tensors"),
        ({"embedding_length": 1 << 20}, "they do not belong together|can be read"),
        ({"feed_forward_length": 1 << 30}, "they do not belong together"),
        ({"block_count": 15}, "they do not belong together"),
    ],
)
def test_a_gguf_file_that_lies(tmp_path: Path, facts: dict[str, int], message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        inspected(write_gguf_file(tmp_path / "small.gguf", **facts))
    assert "\n" not in str(caught.value)


def test_what_lies_beside_a_gguf_file_is_not_looked_at(tmp_path: Path) -> None:
    path = write_gguf_file(tmp_path / "small.gguf")
    (tmp_path / "config.json").write_text("[")
    (tmp_path / "adapter_config.json").write_text("[")
    place = find_place(PretrainedConfig(pretrained=str(path)))
    with alone(place) as (folder, name):
        assert [p.name for p in folder.iterdir()] == [name]
    assert inspected(path).parameters > 0


def test_parts_and_tables_are_bounded_by_what_the_files_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_library_folder(tmp_path)
    inspected(folder)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_TABLES", 0)
        with pytest.raises(SourceError, match="the configuration asks for tables of"):
            inspected(folder)
    monkeypatch.setattr(module, "_MODULES_EACH", 0)
    monkeypatch.setattr(module, "_MODULES", 10)
    with pytest.raises(SourceError, match="more than 10 parts for"):
        inspected(folder)


def test_a_configuration_without_limits_is_refused_at_once(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path)
    path = folder / "config.json"
    sound = json.loads(path.read_text())
    for name, value in {
        "vocab_size": 1 << 30,
        "intermediate_size": 1 << 30,
        "num_attention_heads": 1 << 30,
        "hidden_size": "wide",
        "layer_types": ["no_such"] * 2,
        "hidden_act": "no_such",
        "rope_parameters": {"rope_type": "no_such"},
    }.items():
        path.write_text(json.dumps({**sound, name: value}))
        with pytest.raises(SourceError) as caught:
            inspected(folder)
        assert "\n" not in str(caught.value)


def test_a_part_of_the_extra_that_is_missing_is_named_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_library_folder(tmp_path / "model")
    path = write_gguf_file(tmp_path / "small.gguf")
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"lora needs peft, .* `pip install 'lmcore\[pretrained"):
        inspected(folder)
    assert inspected(folder, adapt="full").parameters > 0
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ConfigError, match="a GGUF file needs gguf"):
        inspected(path, adapt="full")


def test_a_layer_that_slides_bounds_what_is_read_together() -> None:
    from transformers import LlamaConfig, MambaConfig, MistralConfig, Qwen2Config

    assert most_tokens(LlamaConfig(max_position_embeddings=512)) == 512
    # Which layers see the last few tokens only is minded where a row is read.
    assert most_tokens(MistralConfig(max_position_embeddings=512, sliding_window=128)) == 512
    assert most_tokens(Qwen2Config(max_position_embeddings=512, sliding_window=128)) == 512
    assert most_tokens(MambaConfig()) is None


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_library_folder(tmp_path_factory.mktemp("sound"))
    write_gguf_file(folder / "small.gguf")
    return folder


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_damage_of_any_kind_is_refused_or_survived(
    sound: Path, tmp_path: Path, data: st.DataObject
) -> None:
    name = data.draw(
        st.sampled_from(["config.json", "tokenizer.json", "model.safetensors", "small.gguf"])
    )
    shutil.copytree(sound, tmp_path / "copy", dirs_exist_ok=True)
    path = tmp_path / "copy" / name
    content = path.read_bytes()
    place = data.draw(st.integers(0, min(len(content), 8_000) - 1))
    length = data.draw(st.sampled_from([0, 1, 8, len(content)]))
    path.write_bytes(content[:place] + data.draw(st.binary(max_size=8)) + content[place + length :])
    with contextlib.suppress(SourceError):
        found = inspected(path if name.endswith(".gguf") else path.parent)
        assert found.parameters > 0
