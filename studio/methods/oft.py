"""OFT: turn the inputs of a layer by learned rotations, block by block, which keeps angles and lengths (Qiu et al. 2023, arXiv:2306.07280)."""

from typing import Literal

from pydantic import Field

from studio.errors import Invalid
from studio.linear_layers import TRANSPOSED
from studio.methods.method import Method, Rate, Shapes
from studio.methods.targeting import TargetedSettings, check_targets, peft_targets, targeted
from studio.model_facts import ModelFacts


class OftSettings(TargetedSettings):
    name: Literal["oft"] = "oft"
    block_size: int = Field(
        32,
        ge=2,
        le=1024,
        title="Block size",
        description="How many inputs are turned together. It must divide the inputs of every layer. Larger blocks learn more.",
        json_schema_extra={"slider": [2, 128]},
    )
    exact: bool = Field(
        False,
        title="Exact rotation",
        description="Solve for the rotation instead of a series of five terms: slower, and exact for large rotations too.",
        json_schema_extra={"advanced": True},
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Dropout",
        description="Share of the blocks left unturned at random while training, against overfitting.",
    )


def check(settings: OftSettings, facts: ModelFacts) -> None:
    if facts.model_type in TRANSPOSED:
        raise Invalid(
            f"The layers of {facts.architecture} keep their weights transposed, and OFT cannot turn those.",
            "Choose LoRA or another method.",
            "method.name",
        )
    size = settings.block_size
    for layer in check_targets(settings, facts):
        if layer.inputs % size:
            fitting = [
                each for each in range(2, size * 2) if all(inputs % each == 0 for inputs in _inputs(settings, facts))
            ]
            near = sorted(fitting, key=lambda each: abs(each - size))[:3]
            raise Invalid(
                f"Blocks of {size} do not divide the {layer.inputs} inputs of {layer.target}.",
                f"Choose {' or '.join(map(str, sorted(near)))}." if near else "Choose fewer target modules.",
                "method.block_size",
            )


def _inputs(settings: OftSettings, facts: ModelFacts) -> set[int]:
    return {inputs for _, inputs, _ in targeted(settings, facts)}


def trainable_parameters(settings: OftSettings, facts: ModelFacts) -> int:
    return sum(rows * columns for rows, columns in saved(settings, facts).values())


def saved(settings: OftSettings, facts: ModelFacts) -> Shapes:
    """Half of a skew-symmetric matrix for each block."""
    size = settings.block_size
    return {
        f"base_model.model.{name}.oft_R.weight": (inputs // size, size * (size - 1) // 2)
        for name, inputs, _ in targeted(settings, facts)
    }


def add_to(settings: OftSettings, model):
    """The model as a PeftModel with an untrained (no-op) adapter named "default"."""
    from peft import OFTConfig, get_peft_model

    config = OFTConfig(
        task_type="CAUSAL_LM",
        oft_block_size=settings.block_size,
        module_dropout=settings.dropout,
        use_cayley_neumann=not settings.exact,
        target_modules=peft_targets(settings, model),
    )
    return get_peft_model(model, config)


METHOD = Method(
    name="oft",
    title="OFT",
    settings=OftSettings,
    check=check,
    trainable_parameters=trainable_parameters,
    modules=targeted,
    add_to=add_to,
    summary="Turns a layer's inputs instead of adding to its outputs. Changes gently what the base knows; slower than LoRA.",
    place=50,
    saved=saved,
    rate=Rate(3, "OFT turns what is there by small angles, so it takes larger steps"),
)
