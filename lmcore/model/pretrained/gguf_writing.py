"""A model that was gone on from as one GGUF file, as llama.cpp and its kin read it.

In: a model of an architecture that llama.cpp knows and that is written here, and its tokenizer.
Out: the file, weights in float32; what learnt beside matrices is added to them.  A text begins with
the end token there too, as a document does here.

Names of tensors are those of the `gguf` library.  What a tokenizer does before it looks for pairs
has a name of llama.cpp's; one that has none here is refused, as texts would be cut in another way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tokenizers
import torch
from torch import Tensor

from lmcore.errors import UserError
from lmcore.model.pretrained.exporting import merged
from lmcore.model.pretrained.library import library
from lmcore.model.pretrained.model import PretrainedLM

GGUF_FILE = "model.gguf"
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5


# What is written here, by its name there.  Another one is added when a reader has shown that it
# says the same.
_ARCHITECTURES = {"LlamaForCausalLM": "llama"}
# What is done before pairs are looked for, by its name there.
_SMOLLM = ("Digits", "ByteLevel")
_SPLITS = {
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+": "qwen2",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+": "llama-bpe",
}


def export_gguf(model: PretrainedLM, tokenizer: tokenizers.Tokenizer, path: Path) -> None:
    """Write the file.

    Args:
        model: Stays as it is.
        tokenizer: Its own.
        path: Of the new file.

    Raises:
        UserError: If the architecture, its positions or its tokenizer have no form here.
    """
    with library():
        import gguf

        whole = merged(model.inner)
        config, kind = whole.config, type(whole).__name__
        if (found := _ARCHITECTURES.get(kind)) is None:
            raise UserError(
                f"{kind} is not written as GGUF; known are {', '.join(_ARCHITECTURES)}. Export it"
                " with --format hf, and that folder with llama.cpp's own converter."
            )
        writer = gguf.GGUFWriter(path, found)
        _settings(writer, config)
        _vocabulary(writer, json.loads(tokenizer.to_str()), config.vocab_size, model.end_id)
        names = gguf.get_tensor_name_map(_enumerated(gguf, found), config.num_hidden_layers)
        for ours, tensor in _tensors(whole, config):
            theirs = names.get_name(ours, try_suffixes=(".weight", ".bias"))
            if theirs is None:
                raise UserError(f"{kind}: {ours} has no place in a GGUF file; use --format hf.")
            writer.add_tensor(theirs, tensor.contiguous().numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def _enumerated(gguf: Any, name: str) -> Any:
    return next(arch for arch, known in gguf.MODEL_ARCH_NAMES.items() if known == name)


def _settings(writer: Any, config: Any) -> None:
    rope: Mapping[str, Any] = config.rope_parameters
    if rope.get("rope_type", "default") != "default":
        raise UserError(
            f"positions are stretched ({rope['rope_type']}), which is not written as GGUF; use"
            " --format hf."
        )
    heads, width = config.num_attention_heads, config.hidden_size
    head_dim = getattr(config, "head_dim", None) or width // heads
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(width)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    writer.add_rope_dimension_count(head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(0)  # all weights in float32


def _vocabulary(writer: Any, record: Any, vocab_size: int, end_id: int) -> None:
    kind = record["model"]
    if kind["type"] != "BPE" or record.get("normalizer") is not None:
        raise UserError(
            f"its tokenizer ({kind['type']}) is not written as GGUF, only one of byte pairs that"
            " leaves text as it is; use --format hf."
        )
    added = {entry["id"]: entry for entry in record.get("added_tokens") or ()}
    tokens = {index: token for token, index in kind["vocab"].items()}
    tokens |= {index: entry["content"] for index, entry in added.items()}
    types = {
        index: _CONTROL if entry["special"] else _USER_DEFINED for index, entry in added.items()
    }
    types[end_id] = _CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_before_pairs(record.get("pre_tokenizer")))
    writer.add_token_list([tokens.get(index, f"[unused{index}]") for index in range(vocab_size)])
    writer.add_token_types(
        [types.get(index, _NORMAL if index in tokens else _UNUSED) for index in range(vocab_size)]
    )
    pairs = (pair if isinstance(pair, str) else " ".join(pair) for pair in kind["merges"])
    writer.add_token_merges(list(pairs))
    writer.add_bos_token_id(end_id)
    writer.add_eos_token_id(end_id)
    writer.add_add_bos_token(True)


def _before_pairs(step: Any) -> str:
    """What llama.cpp calls the way that text is cut before pairs are looked for."""
    steps = step.get("pretokenizers", [step]) if isinstance(step, dict) else []
    kinds = tuple(one["type"] for one in steps)
    if kinds and kinds[-1] == "ByteLevel" and not steps[-1].get("add_prefix_space"):
        if kinds == ("ByteLevel",) and steps[0].get("use_regex", True):
            return "gpt-2"
        if kinds == _SMOLLM and steps[0].get("individual_digits"):
            return "smollm"
        if kinds == ("Split", "ByteLevel"):
            pattern = steps[0].get("pattern", {}).get("Regex", "")
            if (name := _SPLITS.get(pattern)) is not None:
                return name
    raise UserError(
        f"its tokenizer cuts text ({' then '.join(kinds) or 'not at all'}) in a way that has no"
        " known name in a GGUF file; use --format hf, and llama.cpp's own converter."
    )


def _tensors(whole: Any, config: Any) -> Iterator[tuple[str, Tensor]]:
    tied = bool(config.tie_word_embeddings)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, tensor in whole.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        tensor = tensor.detach().to("cpu", torch.float32)
        if (part := name.split(".")[-2]) in heads:
            # The halves that rotary positions turn together stand beside each other there.
            rows = tensor.view(heads[part], 2, -1, *tensor.shape[1:])
            tensor = rows.transpose(1, 2).reshape(tensor.shape)
        yield name, tensor
