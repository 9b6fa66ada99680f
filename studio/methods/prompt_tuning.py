"""Prompt tuning: learn the embeddings of a few virtual tokens in front of every row (Lester et al. 2021, arXiv:2104.08691)."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from studio.errors import Invalid
from studio.methods import virtual_tokens
from studio.methods.method import Method, Rate, Shapes
from studio.model_facts import ModelFacts


class PromptTuningSettings(virtual_tokens.VirtualTokenSettings):
    name: Literal["prompt_tuning"] = "prompt_tuning"
    start_text: str = Field(
        "",
        max_length=2000,
        title="Text to start from",
        description="The virtual tokens begin as this text, such as what you would ask in a prompt. Empty: random words.",
    )


def trainable_parameters(settings: PromptTuningSettings, facts: ModelFacts) -> int:
    return settings.virtual_tokens * facts.hidden_size


def saved(settings: PromptTuningSettings, facts: ModelFacts) -> Shapes:
    return {"prompt_embeddings": (settings.virtual_tokens, facts.hidden_size)}


def add_to(settings: PromptTuningSettings, model):
    """The model as a PeftModel whose virtual tokens begin as words of its own vocabulary."""
    from peft import PromptTuningConfig, PromptTuningInit, get_peft_model

    config = PromptTuningConfig(
        task_type="CAUSAL_LM",
        num_virtual_tokens=settings.virtual_tokens,
        prompt_tuning_init=PromptTuningInit.RANDOM if settings.start_text else PromptTuningInit.SAMPLE_VOCAB,
    )
    adapted = get_peft_model(model, config)
    if settings.start_text:
        _begin_with(settings, adapted, model)
    return adapted


def _begin_with(settings: PromptTuningSettings, adapted, model) -> None:
    """Copy the embeddings of the text's tokens, again and again until all virtual tokens have one.

    (PEFT's own way would write this machine's path of the tokenizer into the adapter's settings.)
    """
    import torch
    from tokenizers import Tokenizer

    ids = (
        Tokenizer.from_file(str(Path(model.name_or_path) / "tokenizer.json"))
        .encode(settings.start_text, add_special_tokens=False)
        .ids
    )
    if not ids:
        raise Invalid(
            "The text to start from has no tokens.", "Write a sentence, or leave it empty.", "method.start_text"
        )
    count = settings.virtual_tokens
    words = model.get_input_embeddings().weight
    with torch.no_grad():
        chosen = torch.tensor((ids * (count // len(ids) + 1))[:count], device=words.device)
        adapted.prompt_encoder["default"].embedding.weight.copy_(words[chosen])


METHOD = Method(
    name="prompt_tuning",
    title="Prompt tuning",
    settings=PromptTuningSettings,
    check=virtual_tokens.check,
    trainable_parameters=trainable_parameters,
    modules=virtual_tokens.no_modules,
    add_to=add_to,
    summary="Learns a prompt that no words could spell. A file of a few kilobytes; works best on large bases.",
    place=80,
    saved=saved,
    rate=Rate(100, "Only a prompt is learned, which takes much larger steps"),
    positions=virtual_tokens.positions,
    cannot=virtual_tokens.cannot,
)
