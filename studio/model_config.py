"""A model's config.json: what is read of it, and the clean copy that transformers loads, made from an allow-list."""

import json
from pathlib import Path
from typing import Any

from studio.errors import BadInput, clip


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOST_BYTES = 4 << 20  # of any JSON file beside the weights but the tokenizer's vocabulary

# Everything that the supported architectures read of their config. Names of code, of attention kernels and of
# pipelines (auto_map, _attn_implementation, custom_pipelines, trust_remote_code) are not here and never pass.
NUMBERS = names(
    "attention_dropout attention_multiplier attn_logit_softcapping attn_pdrop bos_token_id chunk_size_feed_forward classifier_dropout decoder_start_token_id dropout "
    "embed_dropout embedding_dropout embedding_multiplier logit_scale logits_scaling no_rope_layer_interval norm_epsilon num_heads num_layers "
    "resid_dropout residual_dropout residual_multiplier window_size "
    "embd_pdrop eos_token_id ffn_dim final_logit_softcapping head_dim hidden_dropout hidden_size init_std initializer_range intermediate_size "
    "layer_norm_eps layer_norm_epsilon layerdrop max_position_embeddings max_window_layers n_ctx n_embd n_head n_inner n_layer n_positions "
    "num_attention_heads num_hidden_layers num_key_value_heads original_max_position_embeddings pad_token_id partial_rotary_factor pretraining_tp "
    "query_pre_attn_scalar resid_pdrop rms_norm_eps rope_local_base_freq rope_theta rotary_emb_base rotary_pct sliding_window "
    "sliding_window_pattern _sliding_window_pattern vocab_size word_embed_proj_dim"
)
SWITCHES = names(
    "add_cross_attention attention_bias do_layer_norm_before enable_bias is_decoder layer_norm_elementwise_affine mlp_bias qk_layernorm "
    "_remove_final_layer_norm reorder_and_upcast_attn scale_attn_by_inverse_layer_idx scale_attn_weights tie_word_embeddings "
    "use_bias use_bidirectional_attention use_cache use_parallel_residual use_qk_norm use_qkv_bias use_sliding_window"
)
WORDS = names("activation_function dtype hidden_act hidden_activation model_type torch_dtype transformers_version")
PATTERNS = ("attention_layers", "attention_types", "no_rope_layers")  # which layer attends how
ROPE = ("rope_parameters", "rope_scaling")

# How the families name the same number
LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
HIDDEN = ("hidden_size", "n_embd")
HEAD_COUNT = ("num_attention_heads", "n_head", "num_heads")
INNER = ("intermediate_size", "ffn_dim", "n_inner")
CONTEXT = ("max_position_embeddings", "n_positions", "n_ctx")

# model_type → class that answers in a chat, the name under which it holds the model itself, its kinds of linear layers
GATED = "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj"
ARCHITECTURES: dict[str, tuple[str, str, str]] = {
    "llama": ("LlamaForCausalLM", "model", GATED),
    "qwen2": ("Qwen2ForCausalLM", "model", GATED),
    "qwen3": ("Qwen3ForCausalLM", "model", GATED),
    "mistral": ("MistralForCausalLM", "model", GATED),
    "gemma": ("GemmaForCausalLM", "model", GATED),
    "gemma2": ("Gemma2ForCausalLM", "model", GATED),
    "gemma3_text": ("Gemma3ForCausalLM", "model", GATED),
    "cohere": ("CohereForCausalLM", "model", GATED),
    "granite": ("GraniteForCausalLM", "model", GATED),
    "olmo2": ("Olmo2ForCausalLM", "model", GATED),
    "smollm3": ("SmolLM3ForCausalLM", "model", GATED),
    "stablelm": ("StableLmForCausalLM", "model", GATED),
    "starcoder2": ("Starcoder2ForCausalLM", "model", "q_proj k_proj v_proj o_proj c_fc c_proj"),
    "phi": ("PhiForCausalLM", "model", "q_proj k_proj v_proj dense fc1 fc2"),
    "phi3": ("Phi3ForCausalLM", "model", "qkv_proj o_proj gate_up_proj down_proj"),
    "gpt2": ("GPT2LMHeadModel", "transformer", "c_attn c_proj c_fc"),
    "gpt_neo": ("GPTNeoForCausalLM", "transformer", "q_proj k_proj v_proj out_proj c_fc c_proj"),
    "gpt_neox": ("GPTNeoXForCausalLM", "gpt_neox", "query_key_value dense dense_h_to_4h dense_4h_to_h"),
    "opt": ("OPTForCausalLM", "model", "q_proj k_proj v_proj out_proj fc1 fc2"),
}
TIED_UNLESS_SAID = (
    "gemma",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neo",
    "opt",
    "cohere",
    "smollm3",
    "starcoder2",
)  # transformers' default for the output head


def read_model_json(path: Path) -> dict[str, Any]:
    """A JSON object from beside the weights; {} when the file is not there. Raises BadInput when it is something else."""
    if not path.is_file():
        return {}
    if path.stat().st_size > MOST_BYTES:
        raise BadInput(
            f"{path.name} has {path.stat().st_size:,} bytes, which no such file needs.",
            "Fetch it again from where the model came from.",
        )
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadInput(
            f"{path.name} is not JSON: {clip(error, 100)}.", "Fetch it again from where the model came from."
        ) from None
    if not isinstance(value, dict):
        raise BadInput(f"{path.name} is not a JSON object.", "Fetch it again from where the model came from.")
    return value


def check_architecture(config: dict[str, Any]) -> str:
    """The class that the model is loaded as. Raises BadInput for what does not answer in a chat or is not known."""
    kind = config.get("model_type")
    named = config.get("architectures")
    named = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    quantised = config.get("quantization_config") or config.get("compression_config")
    if quantised is not None:
        method = quantised.get("quant_method", "unknown method") if isinstance(quantised, dict) else quantised
        raise BadInput(
            f"The weights are quantised ({clip(method, 40)}), and adapters are trained on weights in full here.",
            "Bring the model as it was before quantisation.",
        )
    if "auto_map" in config and kind not in ARCHITECTURES:
        raise BadInput(
            "The model runs its own code (auto_map in config.json), which the studio never does.",
            "Bring a model of an architecture that transformers has built in.",
        )
    if not isinstance(kind, str) or kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise BadInput(
            f"config.json says model_type {clip(repr(kind), 60)}, an architecture that the studio does not know.",
            f"Bring one of: {known}.",
        )
    expected = ARCHITECTURES[kind][0]
    if named and expected not in named:
        raise BadInput(
            f"This model is a {clip(named[0])}, which does not answer in a chat.",
            f"Bring the {expected} of this family.",
        )
    return expected


def clean_config(config: dict[str, Any]) -> dict[str, Any]:
    """config.json with nothing in it but what the architecture computes with."""
    clean: dict[str, Any] = {"architectures": [check_architecture(config)]}
    for name, value in config.items():
        if name in SWITCHES:
            fits = value is None or isinstance(value, bool)
        elif name in NUMBERS:
            fits = (
                value is None
                or is_number(value)
                or (name.endswith("_token_id") and isinstance(value, list) and all(map(is_number, value)))
            )
        elif name in WORDS:
            fits = value is None or (isinstance(value, str) and len(value) <= 60)
        elif name == "layer_types":
            fits = isinstance(value, list) and all(kind in ("full_attention", "sliding_attention") for kind in value)
        elif name in PATTERNS:
            fits = value is None or _is_pattern(value)
        elif name in ROPE:
            fits = value is None or _is_rope(value)
        else:
            continue
        if not fits:
            raise BadInput(
                f"config.json has {name} = {clip(repr(value), 60)}, which is not a value that it can take.",
                "Fetch config.json again from where the model came from.",
            )
        clean[name] = value
    return clean


def number(config: dict[str, Any], names: tuple[str, ...], default: int | None = None) -> int:
    """A count from the config under any of its names. Raises BadInput when it is missing or no positive whole number."""
    value = next((config[name] for name in names if config.get(name) is not None), default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(
            f"config.json has {names[0]} = {clip(repr(value), 40)}, which must be a positive whole number.",
            "Fetch config.json again from where the model came from.",
        )
    return value


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_pattern(value: Any, depth: int = 0) -> bool:
    """Lists of whole numbers and of the words "global" and "local", at most three deep."""
    if isinstance(value, list):
        return depth < 3 and all(_is_pattern(entry, depth + 1) for entry in value)
    return depth > 0 and (value in ("global", "local") or (isinstance(value, int) and not isinstance(value, bool)))


def _is_rope(value: Any, depth: int = 0) -> bool:
    """Rotary settings: numbers, short words and lists of numbers, at most one level deep (Gemma 3 has one set per kind of layer)."""
    if not isinstance(value, dict) or depth > 1:
        return False
    return all(
        entry is None
        or isinstance(entry, bool)
        or is_number(entry)
        or (isinstance(entry, str) and len(entry) <= 40)
        or (isinstance(entry, list) and all(map(is_number, entry)))
        or _is_rope(entry, depth + 1)
        for entry in value.values()
    )


TOKENIZER_FIELDS = names(
    "add_bos_token add_eos_token add_prefix_space additional_special_tokens added_tokens_decoder bos_token clean_up_tokenization_spaces cls_token "
    "eos_token errors extra_special_tokens legacy mask_token model_input_names model_max_length model_specific_special_tokens pad_token padding_side "
    "sep_token spaces_between_special_tokens split_special_tokens truncation_side unk_token use_default_system_prompt"
)


def clean_tokenizer_config(config: dict[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json without code, paths and templates; tokenizer.json is used as it is, whatever class was named."""
    special = config.get("model_specific_special_tokens")
    names = TOKENIZER_FIELDS | (set(special) if isinstance(special, dict) else set())
    clean = {name: value for name, value in config.items() if name in names}
    return {**clean, "tokenizer_class": "PreTrainedTokenizerFast"}


def clean_generation_config(config: dict[str, Any]) -> dict[str, Any]:
    """generation_config.json with the ids at which answers end; sampling is the person's own choice at the chat."""
    ids = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id") if name in config}
    return {
        name: value
        for name, value in ids.items()
        if is_number(value) or (isinstance(value, list) and all(map(is_number, value)))
    }
