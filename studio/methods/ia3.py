"""IA3: learn one factor for each output of a layer, and nothing else (Liu et al. 2022, arXiv:2205.05638)."""

from typing import Literal

from studio.methods.method import Method, Rate, Shapes
from studio.methods.targeting import (
    TargetedSettings,
    check_targets,
    keeps_weights_transposed,
    linear_modules,
    targeted,
)
from studio.model_facts import ModelFacts

# The last layer of a feed-forward block is given factors for its inputs, as in the paper; others for their outputs.
BLOCK_ENDS = ("down_proj", "fc2", "dense_4h_to_h", "fc_out", "w2", "mlp.c_proj")


class Ia3Settings(TargetedSettings):
    name: Literal["ia3"] = "ia3"


def check(settings: Ia3Settings, facts: ModelFacts) -> None:
    check_targets(settings, facts)


def ends_a_block(name: str) -> bool:
    return f".{name}".endswith(tuple(f".{end}" for end in BLOCK_ENDS))


def trainable_parameters(settings: Ia3Settings, facts: ModelFacts) -> int:
    return sum(inputs if ends_a_block(name) else outputs for name, inputs, outputs in targeted(settings, facts))


def saved(settings: Ia3Settings, facts: ModelFacts) -> Shapes:
    return {
        f"base_model.model.{name}.ia3_l": (1, inputs) if ends_a_block(name) else (outputs, 1)
        for name, inputs, outputs in targeted(settings, facts)
    }


def add_to(settings: Ia3Settings, model):
    """The model as a PeftModel with an untrained (no-op) adapter named "default"."""
    from peft import IA3Config, get_peft_model

    targets = linear_modules(settings, model)  # full names: GPT-2 calls two different layers c_proj
    config = IA3Config(
        task_type="CAUSAL_LM",
        target_modules=targets,
        feedforward_modules=[name for name in targets if ends_a_block(name)],
        fan_in_fan_out=keeps_weights_transposed(model),
    )
    return get_peft_model(model, config)


METHOD = Method(
    name="ia3",
    title="IA³",
    settings=Ia3Settings,
    check=check,
    trainable_parameters=trainable_parameters,
    modules=targeted,
    add_to=add_to,
    summary="One factor for each output of a layer. The smallest adapter, for little data and small changes.",
    place=40,
    saved=saved,
    rate=Rate(40, "IA³ only stretches what is there, so it takes much larger steps"),
)
