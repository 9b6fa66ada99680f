"""Prefix tuning: learn keys and values of virtual tokens for the attention of every layer (Li and Liang 2021, arXiv:2101.00190)."""

from typing import Literal

from pydantic import Field

from studio.methods import virtual_tokens
from studio.methods.method import Method, Rate, Shapes
from studio.model_facts import ModelFacts


class PrefixTuningSettings(virtual_tokens.VirtualTokenSettings):
    name: Literal["prefix_tuning"] = "prefix_tuning"
    projection: bool = Field(
        False,
        title="Projection",
        description="Learn the prefix through a small network, which is steadier with high learning rates. Only the prefix is saved.",
        json_schema_extra={"advanced": True},
    )
    encoder_size: int = Field(
        128,
        ge=1,
        le=8192,
        title="Projection width",
        description="Of that network, where projection is on.",
        json_schema_extra={"advanced": True},
    )


def trainable_parameters(settings: PrefixTuningSettings, facts: ModelFacts) -> int:
    width, outputs = virtual_tokens.keys_width(facts), numbers_per_token(facts)
    if not settings.projection:
        return settings.virtual_tokens * outputs
    inner = settings.encoder_size
    return settings.virtual_tokens * width + (width + 1) * inner + (inner + 1) * outputs


def numbers_per_token(facts: ModelFacts) -> int:
    """Keys and values for every layer."""
    return facts.layers * 2 * virtual_tokens.keys_width(facts)


def saved(settings: PrefixTuningSettings, facts: ModelFacts) -> Shapes:
    return {"prompt_embeddings": (settings.virtual_tokens, numbers_per_token(facts))}


def add_to(settings: PrefixTuningSettings, model):
    """The model as a PeftModel whose prefix begins at zero: it only takes a little attention away from the text."""
    from peft import PrefixTuningConfig, get_peft_model

    config = PrefixTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=settings.virtual_tokens,
        prefix_projection=settings.projection,
        encoder_hidden_size=settings.encoder_size,
        init_weights="zero",
    )
    return get_peft_model(model, config)


def cannot(settings: PrefixTuningSettings) -> dict[str, str]:
    recomputing = (
        "Prefix tuning passes its prefix as cached keys and values, which are gone when a layer is computed again."
    )
    return {**virtual_tokens.cannot(settings), "gradient_checkpointing": recomputing}


METHOD = Method(
    name="prefix_tuning",
    title="Prefix tuning",
    settings=PrefixTuningSettings,
    check=virtual_tokens.check,
    trainable_parameters=trainable_parameters,
    modules=virtual_tokens.no_modules,
    add_to=add_to,
    summary="Learned keys and values in front of every layer's attention. Stronger than a prompt, smaller than LoRA.",
    place=70,
    saved=saved,
    rate=Rate(100, "Only a prefix is learned, which takes much larger steps"),
    positions=virtual_tokens.positions,
    cannot=cannot,
)
