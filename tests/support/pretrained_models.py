"""Tiny random models of the `transformers` library, as folders that look like real ones."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import tokenizers
import torch

from lmcore.content_store import ContentStore
from lmcore.digests import sha256_file
from lmcore.model.pretrained.base import BASE_FILE, Base, BaseRecord
from lmcore.model.pretrained.library import library

KINDS = ("llama", "gpt2", "qwen3", "gemma2", "mamba")
#: Most tokens that the tiny models read together, where they have a limit.
MOST_TOKENS = 64
#: Rows of their embedding; the tokenizer has a few tokens less.
VOCAB_SIZE = 300
END_TOKEN = "<|endoftext|>"
_TEXTS = ["the cat sat on the mat", "a dog and a cat", "naïve café, 42 – ok?"] * 3


def library_config(kind: str, vocab_size: int) -> Any:
    """A tiny configuration of the library."""
    import transformers

    common = {
        "vocab_size": vocab_size,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    narrow = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": MOST_TOKENS,
        "initializer_range": 0.2,
    }
    if kind == "llama":
        return transformers.LlamaConfig(**common, **narrow, tie_word_embeddings=True)
    if kind == "qwen3":
        return transformers.Qwen3Config(**common, **narrow, head_dim=8)
    if kind == "gemma2":
        return transformers.Gemma2Config(**common, **narrow, head_dim=8, sliding_window=6)
    if kind == "gpt2":
        return transformers.GPT2Config(
            **common,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=MOST_TOKENS,
            initializer_range=0.2,
        )
    if kind == "mamba":
        return transformers.MambaConfig(
            **common, hidden_size=32, state_size=8, num_hidden_layers=2, initializer_range=0.2
        )
    raise ValueError(kind)


def library_tokenizer(vocab_size: int = VOCAB_SIZE) -> tokenizers.Tokenizer:
    """A byte-level tokenizer whose end token has the id 0."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.train_from_iterator(
        _TEXTS,
        trainer=tokenizers.trainers.BpeTrainer(
            vocab_size=vocab_size,
            initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[END_TOKEN],
            show_progress=False,
        ),
    )
    return made


def library_model(kind: str, vocab_size: int, *, seed: int = 0) -> Any:
    """A tiny model with random weights that matter everywhere."""
    import transformers

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        return transformers.AutoModelForCausalLM.from_config(
            library_config(kind, vocab_size)
        ).eval()


def write_library_folder(folder: Path, kind: str = "llama", *, seed: int = 0) -> Path:
    """A folder in the Hugging Face layout."""
    made = library_tokenizer()
    with library():
        library_model(kind, VOCAB_SIZE, seed=seed).save_pretrained(folder)
    made.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": END_TOKEN, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def write_gguf_file(path: Path, *, seed: int = 0, chat: str = "", **facts: Any) -> Path:
    """A tiny Llama as a GGUF file, as llama.cpp would write it.

    Args:
        path: Of the file.
        seed: Of its weights.
        chat: Its chat template.
        facts: Numbers of the head that are not what they should be, such as `block_count`.
    """
    import gguf

    model, cut = library_model("llama", VOCAB_SIZE, seed=seed), library_tokenizer()
    config, ids = model.config, library_tokenizer().get_vocab()
    by_id = {index: name for name, index in ids.items()}
    tokens = [by_id.get(index, f"<unused{index}>") for index in range(VOCAB_SIZE)]
    writer = gguf.GGUFWriter(path, "llama")
    head = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "vocab_size": VOCAB_SIZE,
        **facts,
    }
    for name, value in head.items():
        writer.add_uint32(f"llama.{name}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", config.rms_norm_eps)
    writer.add_float32("llama.rope.freq_base", config.rope_parameters["rope_theta"])
    writer.add_string("general.name", "small")
    writer.add_string("general.license", "mit")
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token == END_TOKEN else 1 for token in tokens])
    merges = json.loads(cut.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(0)
    writer.add_bos_token_id(0)
    if chat:
        writer.add_chat_template(chat)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, tensor in _gguf_tensors(model).items():
        if part := next((part for part in heads if part in name), None):
            # Halves of a head stand beside each other there, and behind each other here.
            rows = tensor.view(heads[part], 2, -1, tensor.shape[1])
            tensor = rows.transpose(1, 2).reshape(tensor.shape)
        writer.add_tensor(name, tensor.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _gguf_tensors(model: Any) -> dict[str, torch.Tensor]:
    parts = {
        **{f"self_attn.{n}_proj": f"attn_{n}" for n in "qkv"},
        "self_attn.o_proj": "attn_output",
        **{f"mlp.{n}_proj": f"ffn_{n}" for n in ("gate", "up", "down")},
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    found = {
        "token_embd.weight": model.model.embed_tokens.weight,
        "output_norm.weight": model.model.norm.weight,
    }
    for number, layer in enumerate(model.model.layers):
        for ours, theirs in parts.items():
            found[f"blk.{number}.{theirs}.weight"] = layer.get_submodule(ours).weight
    return {name: tensor.detach() for name, tensor in found.items()}


def make_base(root: Path, kind: str = "llama", *, seed: int = 0, **facts: Any) -> Base:
    """An imported base in a content store of its own kind of folder.

    Args:
        root: Of the content store.
        kind: Architecture.
        seed: Of its weights.
        facts: Further fields of its record, such as `license`.
    """

    def make(folder: Path) -> dict[str, Any]:
        write_library_folder(folder, kind, seed=seed)
        (folder / "tokenizer_config.json").unlink()
        (folder / "generation_config.json").unlink(missing_ok=True)
        weights = sha256_file(folder / "model.safetensors")
        model = library_model(kind, VOCAB_SIZE, seed=seed)
        record = BaseRecord(
            source=f"models/{kind}",
            name=kind,
            architecture=type(model).__name__,
            parameters=model.num_parameters(),
            vocab_size=model.config.vocab_size,
            end_token=END_TOKEN,
            end_id=0,
            most_tokens=None if kind == "mamba" else MOST_TOKENS,
            files={"model.safetensors": weights},
            weights_sha256=weights,
            **facts,
        )
        (folder / BASE_FILE).write_text(record.model_dump_json(), encoding="utf-8")
        return {"name": kind}

    return ContentStore(root).build(Base, {"kind": kind, "seed": seed, **facts}, make)


def base_of(root: Path, model: Any, **facts: Any) -> Base:
    """What a model from a base has become, as a base of its own.

    Args:
        root: Of the content store.
        model: A `PretrainedLM` all of whose weights learnt.
        facts: Fields of its record that differ.
    """

    def make(folder: Path) -> dict[str, Any]:
        with library():
            model.inner.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        cut = (model.base.path / "tokenizer.json").read_bytes()
        (folder / "tokenizer.json").write_bytes(cut)
        weights = sha256_file(folder / "model.safetensors")
        known = model.base.record().model_dump()
        hashes = {"files": {"model.safetensors": weights}, "weights_sha256": weights}
        record = BaseRecord.model_validate({**known, **hashes, **facts})
        (folder / BASE_FILE).write_text(record.model_dump_json(), encoding="utf-8")
        return {"name": record.name}

    return ContentStore(root).build(Base, {"of": model.base.key, **facts}, make)


def write_fine_tuned(base: Base, folder: Path, *, seed: int = 0) -> Path:
    """A stored model that was made from a base: small matrices beside its weights."""
    from lmcore.model.config import PretrainedConfig
    from lmcore.model.factory import new_model, save_model

    record = base.record()
    model = new_model(
        PretrainedConfig(pretrained=record.source, rank=2, context=32),
        vocab_size=record.vocab_size,
        end_id=record.end_id,
        seed=seed,
        device="cpu",
        base=base.path,
    )
    folder.mkdir(parents=True)
    save_model(model, folder)
    return folder
