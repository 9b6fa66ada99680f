"""VeRA: all layers share two frozen random matrices and learn only two vectors each (Kopiczko et al. 2024, arXiv:2310.11454)."""

from typing import Literal

from pydantic import Field

from studio.methods.method import Method, Rate, Shapes
from studio.methods.targeting import (
    Dropout,
    TargetedSettings,
    check_targets,
    keeps_weights_transposed,
    peft_targets,
    targeted,
)
from studio.model_facts import ModelFacts


class VeraSettings(TargetedSettings):
    name: Literal["vera"] = "vera"
    rank: int = Field(
        256,
        ge=1,
        le=8192,
        title="Rank",
        description="Width of the two shared random matrices. It can be high: a layer learns one number for each rank.",
        json_schema_extra={"slider": [16, 1024]},
    )
    start: float = Field(
        0.1,
        gt=0,
        le=10,
        title="Starting value",
        description="Of the learned vector between the two matrices. The paper found 0.1 and below to work best.",
        json_schema_extra={"advanced": True},
    )
    dropout: Dropout = 0.05


def check(settings: VeraSettings, facts: ModelFacts) -> None:
    check_targets(settings, facts)


def trainable_parameters(settings: VeraSettings, facts: ModelFacts) -> int:
    return sum(settings.rank + outputs for _, _, outputs in targeted(settings, facts))


def saved(settings: VeraSettings, facts: ModelFacts) -> Shapes:
    """The shared matrices are saved too: made again from their seed, they may differ on another machine."""
    modules = targeted(settings, facts)
    shapes = {
        "base_model.vera_A": (settings.rank, max(inputs for _, inputs, _ in modules)),
        "base_model.vera_B": (max(outputs for _, _, outputs in modules), settings.rank),
    }
    for name, _, outputs in modules:
        at = f"base_model.model.{name}"
        shapes |= {f"{at}.vera_lambda_b": (outputs,), f"{at}.vera_lambda_d": (settings.rank,)}
    return shapes


def add_to(settings: VeraSettings, model):
    """The model as a PeftModel with an untrained (no-op) adapter named "default"."""
    from peft import VeraConfig, get_peft_model

    config = VeraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        d_initial=settings.start,
        vera_dropout=settings.dropout,
        save_projection=True,
        target_modules=peft_targets(settings, model),
        fan_in_fan_out=keeps_weights_transposed(model),
    )
    return get_peft_model(model, config)


METHOD = Method(
    name="vera",
    title="VeRA",
    settings=VeraSettings,
    check=check,
    trainable_parameters=trainable_parameters,
    modules=targeted,
    add_to=add_to,
    summary="Two short vectors per layer around random matrices that all layers share. Learns far fewer numbers than LoRA.",
    place=30,
    saved=saved,
    rate=Rate(30, "VeRA learns few numbers that each do much less, so it takes larger steps"),
)
