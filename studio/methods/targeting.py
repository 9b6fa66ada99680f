"""Targeting: which linear layers of a base model a method changes, by the names of modules and by the numbers of layers."""

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from studio.errors import Invalid, clip
from studio.linear_layers import layer_number
from studio.methods.method import MethodSettings
from studio.model_facts import LinearLayer, ModelFacts

ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=100)]

LAYERS = r"^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"


Dropout = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        title="Dropout",
        description="Share of the adapter's inputs left out at random while training, against overfitting.",
    ),
]


class TargetedSettings(MethodSettings):
    """Settings of a method that changes linear layers which the person can choose."""

    targets: Literal["all-linear"] | list[ModuleName] = Field(
        "all-linear",
        title="Target modules",
        description="Layers that get an adapter. All linear layers learn most for the same size.",
    )
    layers: str | None = Field(
        None,
        pattern=LAYERS,
        max_length=200,
        title="Layers",
        description="Only these layers, counted from 0, such as 0-3,8. Empty: all.",
        json_schema_extra={"advanced": True},
    )

    @field_validator("layers", mode="before")
    @classmethod
    def written_as_numbers(cls, layers: Any) -> Any:
        """Empty means all, as the description says; anything else wrong is told without a pattern."""
        if isinstance(layers, str) and layers and not re.fullmatch(LAYERS, layers):
            raise ValueError("layers are written as numbers and ranges, such as 0-3,8")
        return None if layers == "" else layers


def layer_numbers(layers: str | None, count: int) -> list[int]:
    """The layers meant by "0-3,8" in a model of `count` layers, in order."""
    if not layers:
        return list(range(count))
    chosen: set[int] = set()
    for part in layers.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if low > high:
            raise Invalid(f"Layers '{clip(part)}' run backwards.", f"Write {high}-{low}.", "method.layers")
        if high >= count:
            raise Invalid(
                f"Layers '{clip(layers)}' reach beyond this model, whose layers are 0 to {count - 1}.",
                "Name layers that it has, or leave it empty.",
                "method.layers",
            )
        chosen.update(range(low, high + 1))
    return sorted(chosen)


def targeted_layers(settings: TargetedSettings, facts: ModelFacts) -> list[LinearLayer]:
    """Every linear layer that these settings mean, in the order of the model."""
    wanted = set(layer_numbers(settings.layers, facts.layers))
    return [
        layer
        for layer in facts.linear_layers
        if (settings.targets == "all-linear" or layer.target in settings.targets)
        and (not settings.layers or layer.layer in wanted)
    ]


def targeted(settings: TargetedSettings, facts: ModelFacts) -> list[tuple[str, int, int]]:
    """(module name, inputs, outputs) of every layer that gets an adapter."""
    return [(layer.name, layer.inputs, layer.outputs) for layer in targeted_layers(settings, facts)]


def check_targets(settings: TargetedSettings, facts: ModelFacts) -> list[LinearLayer]:
    """The layers that are meant. Raises Invalid at the targets or layers that this model does not have."""
    if settings.targets != "all-linear":
        if not settings.targets:
            raise Invalid(
                "No target module is chosen, so there is nothing to train.",
                "Choose at least one, or all linear layers.",
                "method.targets",
            )
        for target in settings.targets:
            if target not in facts.target_modules:
                near = "".join(
                    f"Did you mean {name}? " for name in difflib.get_close_matches(target, facts.target_modules, n=1)
                )
                raise Invalid(
                    f"'{clip(target)}' is no linear layer of {facts.architecture}.",
                    f"{near}This model has: {', '.join(facts.target_modules)}.",
                    "method.targets",
                )
    layers = targeted_layers(settings, facts)
    if not layers:
        raise Invalid(
            "No layer of the model matches these targets and layers.",
            "Choose other targets or leave the layers empty.",
            "method.targets",
        )
    return layers


def peft_targets(settings: TargetedSettings, model) -> str | list[str]:
    """What PEFT is told as target_modules: "all-linear", the modules' names, or full names where layers are chosen.

    (PEFT takes layers_to_transform only beside a list of names.)
    """
    if settings.layers:
        return linear_modules(settings, model)
    return settings.targets if settings.targets == "all-linear" else list(settings.targets)


def linear_modules(settings: TargetedSettings, model) -> list[str]:
    """Full names of the targeted modules of a transformers model, its output head left out."""
    wanted = set(layer_numbers(settings.layers, model.config.num_hidden_layers))
    head = model.get_output_embeddings()
    return [
        name
        for name, module in model.named_modules()
        if is_linear(module)
        and module is not head
        and (not settings.layers or layer_number(name) in wanted)
        and (settings.targets == "all-linear" or name.rpartition(".")[2] in settings.targets)
    ]


def is_linear(module) -> bool:
    """Whether it multiplies with a weight, kept as it is, quantised (both are subclasses of Linear) or transposed."""
    import torch
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, torch.nn.Linear | Conv1D)


def keeps_weights_transposed(model) -> bool:
    """GPT-2 keeps its weights as (inputs, outputs); PEFT calls that fan_in_fan_out."""
    return any(type(module).__name__ == "Conv1D" for module in model.modules())
