"""P-tuning: a prompt as in prompt tuning, written by a small network that is learned and then thrown away (Liu et al. 2021, arXiv:2103.10385)."""

from typing import Literal

from pydantic import Field

from studio.methods import virtual_tokens
from studio.methods.method import Method, Rate, Shapes
from studio.model_facts import ModelFacts


class PTuningSettings(virtual_tokens.VirtualTokenSettings):
    name: Literal["p_tuning"] = "p_tuning"
    encoder_size: int = Field(
        128,
        ge=1,
        le=8192,
        title="Encoder width",
        description="Of the network that writes the prompt while training. Only the prompt is saved.",
        json_schema_extra={"advanced": True},
    )


def trainable_parameters(settings: PTuningSettings, facts: ModelFacts) -> int:
    """The virtual tokens, and three linear layers with biases."""
    width, inner = facts.hidden_size, settings.encoder_size
    layers = (width + 1) * inner + (inner + 1) * inner + (inner + 1) * width
    return settings.virtual_tokens * width + layers


def saved(settings: PTuningSettings, facts: ModelFacts) -> Shapes:
    return {"prompt_embeddings": (settings.virtual_tokens, facts.hidden_size)}


def add_to(settings: PTuningSettings, model):
    """The model as a PeftModel with an untrained prompt, which already changes its answers a little."""
    from peft import PromptEncoderConfig, get_peft_model

    config = PromptEncoderConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=settings.virtual_tokens,
        encoder_hidden_size=settings.encoder_size,
    )
    return get_peft_model(model, config)


METHOD = Method(
    name="p_tuning",
    title="P-tuning",
    settings=PTuningSettings,
    check=virtual_tokens.check,
    trainable_parameters=trainable_parameters,
    modules=virtual_tokens.no_modules,
    add_to=add_to,
    summary="A learned prompt that a small network writes while training. Steadier than prompt tuning; the same small file.",
    place=90,
    saved=saved,
    rate=Rate(10, "Only a prompt is learned, which takes larger steps"),
    positions=virtual_tokens.positions,
    cannot=virtual_tokens.cannot,
)
