"""What a folder says of itself is checked before a weight is read."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
import torch
from pretrained_models import write_library_folder
from safetensors.torch import load_file, save_file

from lmcore.errors import SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.checks import checked_config, stored_weights
from lmcore.model.pretrained.places import find_place


def check(folder: Path) -> int:
    place = find_place(PretrainedConfig(pretrained=str(folder)))
    stored = stored_weights(place, checked_config(place))
    return sum(tensor.num_numbers for tensor in stored.values())


def changed(folder: Path, **values: Any) -> Path:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.update(values)
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    return folder


def test_a_sound_folder_says_how_many_numbers_it_holds(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    assert check(folder) == sum(t.numel() for t in weights.values())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"auto_map": {"AutoModelForCausalLM": "evil.Model"}}, "never run"),
        ({"quantization_config": {"quant_method": "gptq"}}, r"quantized \(gptq\)"),
        ({"quantization_config": [1]}, "quantized"),
        ({"model_type": "no_such_model", "architectures": None}, "is no decoder"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "is no decoder"),
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "is no decoder"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "is no decoder"),
        ({"model_type": None}, "is no decoder"),
        ({"is_encoder_decoder": True}, "is no decoder"),
        ({"num_hidden_layers": 1000}, "1,000 layers, but the files hold"),
        ({"num_hidden_layers": 10**9}, "layers, but the files hold"),
        ({"hidden_size": 10**30}, "no model is so large"),
        ({"nested": {"deep": [{"n": -(10**12)}]}}, "no model is so large"),
        ({"attention_types": [[["global"], 1 << 30]]}, "no model repeats a part so often"),
        ({"architectures": [["a"]]}, "is no decoder"),
        ({"model_type": ["llama"]}, "is no decoder"),
    ],
)
def test_a_configuration_that_is_none_of_ours_or_lies(
    tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        check(changed(write_library_folder(tmp_path), **values))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "nothing", "[" * 200_000, '"text"', "{} {}"])
def test_a_configuration_that_is_no_object(tmp_path: Path, content: str) -> None:
    folder = write_library_folder(tmp_path)
    (folder / "config.json").write_text(content)
    with pytest.raises(SourceError, match=r"config\.json"):
        check(folder)


def test_damaged_or_missing_or_pickled_weights(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path)
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for content in (whole[:50], b"", b"\xff" * 64, (1 << 60).to_bytes(8, "little") + whole[8:]):
        path.write_bytes(content)
        with pytest.raises(SourceError, match="not a safetensors file that can be read"):
            check(folder)
    path.unlink()
    with pytest.raises(SourceError, match="no weights"):
        check(folder)
    (folder / "pytorch_model.bin").write_bytes(whole)
    with pytest.raises(SourceError, match=r"pickled \(pytorch_model\.bin\)"):
        check(folder)


def test_parts_are_read_by_their_index_which_points_nowhere_else(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    secret = tmp_path / "secret.safetensors"
    save_file({"secret": torch.ones(3)}, secret)
    index = folder / "model.safetensors.index.json"
    for number, half in enumerate((names[::2], names[1::2])):
        save_file({n: weights[n] for n in half}, folder / f"part{number}.safetensors")
    (folder / "model.safetensors").unlink()
    parts = {name: f"part{i % 2}.safetensors" for i, name in enumerate(names)}
    index.write_text(json.dumps({"weight_map": parts}))
    assert check(folder) == sum(t.numel() for t in weights.values())
    for wrong in ("../secret.safetensors", str(secret), "config.json", "part7.safetensors"):
        index.write_text(json.dumps({"weight_map": {**parts, names[0]: wrong}}))
        with pytest.raises(SourceError, match="is no safetensors file of this folder"):
            check(folder)
    for wrong in (
        {**parts, "no.such.tensor": "part0.safetensors"},
        {**parts, names[0]: "part1.safetensors"},
    ):
        index.write_text(json.dumps({"weight_map": wrong}))
        with pytest.raises(SourceError, match="which does not hold it"):
            check(folder)


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    name = next(n for n in weights if n.endswith("up_proj.weight"))
    save_file({**weights, name: weights[name].to(torch.int8)}, folder / "model.safetensors")
    with pytest.raises(SourceError, match="is stored as I8"):
        check(folder)


def test_how_the_library_works_is_not_for_a_folder_to_say(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path)
    sound = checked_config(find_place(PretrainedConfig(pretrained=str(folder))))
    changed(
        folder,
        attn_implementation="owner/kernel",
        _experts_implementation="owner/kernel",
        transformers_weights="other.safetensors",
        return_dict=False,
        num_labels=10**9,
        nested={"_attn_implementation": "owner/kernel", "kept": [{"use_kernels": True}]},
    )
    found = checked_config(find_place(PretrainedConfig(pretrained=str(folder))))
    assert found.pop("nested") == {"kept": [{}]}
    assert found == sound
    assert "hidden_size" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "not JSON"),
        ('{"x": ' + "[" * 700 + "]" * 700 + "}", "nested deeper than 100 levels"),
        ('{"x": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_json_that_nobody_can_walk_is_refused(tmp_path: Path, text: str, said: str) -> None:
    folder = write_library_folder(tmp_path)
    (folder / "config.json").write_text(text)
    with pytest.raises(SourceError, match=said):
        check(folder)
