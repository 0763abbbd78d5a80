"""Tiny configurations of many architectures of the `transformers` library."""

from __future__ import annotations

from typing import Any

from lmcore.model.pretrained.attention import rows_apart

_TOKENS = {"vocab_size": 300, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
_BLOCKS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_PLAIN = {
    **_BLOCKS,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
}
_NARROW = {**_PLAIN, "num_key_value_heads": 2}
_NEAR = {**_NARROW, "sliding_window": 6}
_WIDE = {**_NARROW, "head_dim": 8}
_DEEP = {**_NARROW, "num_hidden_layers": 4}
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.2}
_OLD = {"max_position_embeddings": 64, "init_std": 0.2}
_EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
_STATES = {"hidden_size": 32, "num_hidden_layers": 2, "initializer_range": 0.2}
_SCAN = {"mamba_n_groups": 1, "mamba_d_state": 8, "mamba_chunk_size": 4, "mamba_d_head": 8}
_MIXED = {"layer_types": ["sliding_attention", "full_attention"]}
_LINEAR = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
_LATENT = {
    "kv_lora_rank": 8,
    "q_lora_rank": 8,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}

#: That can be gone on from: class of the configuration without `Config`, and what it is given.
READ: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", _NARROW),
    "mistral": ("Mistral", _NEAR),
    "ministral": ("Ministral", {**_NEAR, "head_dim": 8}),
    "qwen2": ("Qwen2", _NARROW),
    "qwen2 sliding": (
        "Qwen2",
        {**_DEEP, "use_sliding_window": True, "sliding_window": 6, "max_window_layers": 2},
    ),
    "qwen3": ("Qwen3", _WIDE),
    "gemma": ("Gemma", _WIDE),
    "gemma2": ("Gemma2", {**_NEAR, "head_dim": 8}),
    "gemma3": ("Gemma3Text", {**_NEAR, **_MIXED, "head_dim": 8}),
    "cohere": ("Cohere", _NARROW),
    "cohere2": ("Cohere2", {**_NEAR, **_MIXED}),
    "granite": ("Granite", _NARROW),
    "phi": ("Phi", _NARROW),
    "phi3": ("Phi3", _NARROW),
    "stablelm": ("StableLm", _NARROW),
    "gpt_neox": ("GPTNeoX", _PLAIN),
    "gpt_neo": (
        "GPTNeo",
        {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 6,
            "max_position_embeddings": 64,
            "initializer_range": 0.2,
        },
    ),
    "gpt2": ("GPT2", _GPT),
    "gptj": ("GPTJ", {**_GPT, "rotary_dim": 4}),
    "codegen": ("CodeGen", {**_GPT, "rotary_dim": 4, "n_ctx": 64}),
    "gpt_bigcode": ("GPTBigCode", _GPT),
    "opt": ("OPT", {**_BLOCKS, **_OLD, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "xglm": ("XGLM", {**_OLD, "d_model": 32, "ffn_dim": 48, "num_layers": 2, "attention_heads": 4}),
    "biogpt": ("BioGpt", _PLAIN),
    "bloom": ("Bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "initializer_range": 0.2}),
    "mpt": ("Mpt", {"d_model": 32, "n_heads": 4, "n_layers": 2, "expansion_ratio": 2}),
    "falcon": ("Falcon", {**_BLOCKS, "initializer_range": 0.2}),
    "falcon alibi": ("Falcon", {**_BLOCKS, "initializer_range": 0.2, "alibi": True}),
    "starcoder2": ("Starcoder2", _NARROW),
    "olmo": ("Olmo", _NARROW),
    "olmo2": ("Olmo2", _NARROW),
    "olmoe": ("Olmoe", {**_NARROW, "num_experts": 4, "num_experts_per_tok": 2}),
    "mixtral": ("Mixtral", {**_NARROW, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3_moe": ("Qwen3Moe", {**_WIDE, **_EXPERTS, "num_experts": 4}),
    "gpt_oss": (
        "GptOss",
        {
            **_NEAR,
            "max_position_embeddings": 4096,
            "head_dim": 8,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
        },
    ),
    "deepseek_v3": (
        "DeepseekV3",
        {
            **_PLAIN,
            **_LATENT,
            **_EXPERTS,
            "num_key_value_heads": 4,
            "n_routed_experts": 4,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
        },
    ),
    "nemotron": ("Nemotron", _NARROW),
    "smollm3": ("SmolLM3", _DEEP),
    "glm4": ("Glm4", _WIDE),
    "exaone4": ("Exaone4", _NEAR),
    "hunyuan": ("HunYuanDenseV1", _WIDE),
    "ernie": ("Ernie4_5", _WIDE),
    "mamba": ("Mamba", {**_STATES, "state_size": 8}),
    "falcon_mamba": ("FalconMamba", {**_STATES, "state_size": 8}),
    "mamba2": (
        "Mamba2",
        {
            **_STATES,
            "state_size": 8,
            "num_heads": 8,
            "head_dim": 8,
            "n_groups": 1,
            "chunk_size": 4,
        },
    ),
    "falcon_h1": ("FalconH1", {**_WIDE, **_SCAN, "mamba_d_ssm": 32, "mamba_n_heads": 4}),
    "bamba": ("Bamba", {**_NARROW, **_SCAN, "mamba_n_heads": 8, "attn_layer_indices": [1]}),
    "jamba": (
        "Jamba",
        {
            **_NARROW,
            "use_mamba_kernels": False,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 2,
            "expert_layer_offset": 1,
            "num_experts": 2,
            "mamba_d_state": 8,
        },
    ),
    "lfm2": ("Lfm2", {**_NARROW, "layer_types": ["conv", "full_attention"]}),
    "qwen3_next": (
        "Qwen3Next",
        {
            **_WIDE,
            **_LINEAR,
            **_EXPERTS,
            "num_experts": 4,
            "shared_expert_intermediate_size": 16,
        },
    ),
}

#: That are refused, as what comes out in parts is not what comes out of the whole.
REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "rwkv": ("Rwkv", {**_STATES, "attention_hidden_size": 32, "intermediate_size": 48}),
    "recurrent_gemma": (
        "RecurrentGemma",
        {
            **_BLOCKS,
            "num_hidden_layers": 3,
            "intermediate_size": 48,
            "lru_width": 32,
            "attention_window_size": 6,
            "num_key_value_heads": 1,
        },
    ),
    "zamba2": (
        "Zamba2",
        {
            **_PLAIN,
            "num_hidden_layers": 3,
            "num_key_value_heads": 4,
            "layers_block_type": ["mamba", "mamba", "hybrid"],
            "mamba_d_state": 8,
            "n_mamba_heads": 8,
            "num_mem_blocks": 1,
            "use_mem_rope": True,
            "chunk_size": 4,
            "mamba_headdim": 8,
        },
    ),
    "minimax": (
        "MiniMax",
        {
            **_WIDE,
            "num_local_experts": 2,
            "block_size": 8,
            "layer_types": ["linear_attention", "full_attention"],
        },
    ),
    "xlstm": ("xLSTM", {"hidden_size": 32, "num_blocks": 2, "num_heads": 4}),
    "xlnet": ("XLNet", {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 48}),
}


def tiny_model(name: str, *, seed: int = 0) -> Any:
    """A model of an architecture with random weights."""
    import torch
    import transformers

    from lmcore.model.pretrained.library import library

    kind, options = {**READ, **REFUSED}[name]
    with library(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = getattr(transformers, f"{kind}Config")(**{**_TOKENS, **options})
        return transformers.AutoModelForCausalLM.from_config(config).eval()


def attended_as_loaded(name: str) -> Any:
    """The same model with the attention that bases are loaded with."""
    inner = tiny_model(name)
    if inner.config._attn_implementation == "sdpa":
        inner.set_attn_implementation(rows_apart())
    return inner
