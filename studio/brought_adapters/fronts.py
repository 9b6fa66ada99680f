"""Prompt tuning, p-tuning and prefix tuning as they were brought: one tensor that stands in front of every row."""

from typing import Any

from studio.brought_adapters.found import FoundAdapter, Front, refused, shaped
from studio.brought_adapters.settings import COMMON, check_known, count_of
from studio.errors import clip
from studio.methods.virtual_tokens import keys_width
from studio.model_facts import ModelFacts
from studio.model_files import Tensor

KEY = "prompt_embeddings"
# What wrote the prompt while it was trained, and what it began as; only the prompt itself is used
WITHOUT_EFFECT = {
    "num_virtual_tokens", "token_dim", "num_transformer_submodules", "num_attention_heads", "num_layers", "modules_to_save",
    "prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path", "tokenizer_kwargs", "prompt_tuning_init_state_dict_path",
    "encoder_reparameterization_type", "encoder_hidden_size", "encoder_num_layers", "encoder_dropout", "encoder_init_config", "encoder_ratio",
    "prefix_projection", "init_weights",
}  # fmt: skip


def reading(method: str):
    def read(settings: dict[str, Any], tensors: dict[str, Tensor], name: str) -> FoundAdapter:
        check_known(settings, WITHOUT_EFFECT, name, {})
        tokens = count_of(settings, "num_virtual_tokens", name)
        if settings.get("num_transformer_submodules") not in (None, 1):
            raise refused(name, "it is made for a model with an encoder and a decoder")
        if left := [key for key in tensors if key != KEY]:
            raise refused(name, f"it holds '{clip(left[0], 120)}', which is no part of its method")
        rows, width = shaped(tensors, KEY, 2, name)
        if rows != tokens:
            raise refused(name, f"its settings say {tokens} virtual tokens, and its weights hold {rows}")
        front = Front(tokens, width, method == "prefix_tuning")
        clean = {**COMMON, "peft_type": method.upper(), "num_virtual_tokens": tokens, "num_transformer_submodules": 1}
        return FoundAdapter(method, clean, front=front, misfit=lambda facts: misfit(front, facts))

    return read


def misfit(front: Front, facts: ModelFacts) -> str | None:
    wanted = facts.layers * 2 * keys_width(facts) if front.of_every_layer else facts.hidden_size
    if front.width != wanted:
        return f"its virtual tokens have {front.width} numbers each, and {wanted} are needed"
    if front.tokens >= facts.context_length:
        return f"its {front.tokens} virtual tokens leave nothing of the {facts.context_length} positions"
    return None


def sizes_of(front: Front, facts: ModelFacts) -> dict[str, int]:
    """Settings that PEFT tells from the base."""
    width = keys_width(facts) if front.of_every_layer else facts.hidden_size
    return {"num_layers": facts.layers, "num_attention_heads": facts.kv_heads, "token_dim": width}
