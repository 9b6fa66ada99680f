"""LoRA: freeze the base model and learn two small matrices beside each targeted layer (Hu et al. 2021, arXiv:2106.09685)."""

import difflib
import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from studio.errors import Invalid, clip
from studio.linear_layers import layer_number
from studio.methods.method import Method, MethodSettings
from studio.model_facts import ModelFacts

ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=100)]

LAYERS = r"^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"


class LoraSettings(MethodSettings):
    name: Literal["lora"] = "lora"
    rank: int = Field(
        16,
        ge=1,
        le=1024,
        title="Rank",
        description="Width of the two learned matrices. More rank learns more and makes a larger file.",
        json_schema_extra={"slider": [1, 256]},
    )
    alpha: float = Field(
        32,
        gt=0,
        le=4096,
        title="Alpha",
        description="The update is scaled by alpha / rank. Twice the rank is usual.",
        json_schema_extra={"slider": [1, 512]},
    )
    dropout: float = Field(
        0.05,
        ge=0,
        lt=1,
        title="Dropout",
        description="Share of the adapter's inputs left out at random while training, against overfitting.",
    )
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
    bias: Literal["none", "all", "lora_only"] = Field(
        "none",
        title="Bias",
        description="Also train the base's bias terms. With anything but none the base's own answers change too when the adapter is on.",
        json_schema_extra={"advanced": True},
    )
    rslora: bool = Field(
        False,
        title="Rank-stabilised scaling",
        description="Scale by alpha / √rank instead (rsLoRA, arXiv:2312.03732), for ranks above 64.",
        json_schema_extra={"advanced": True},
    )

    @field_validator("layers", mode="before")
    @classmethod
    def written_as_numbers(cls, layers: Any) -> Any:
        """Empty means all, as the description says; anything else wrong is told without a pattern."""
        if isinstance(layers, str) and layers and not re.fullmatch(LAYERS, layers):
            raise ValueError("layers are written as numbers and ranges, such as 0-3,8")
        return None if layers == "" else layers

    @property
    def scale(self) -> float:
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)


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


def targeted(settings: LoraSettings, facts: ModelFacts) -> list[tuple[str, int, int]]:
    """(module name, inputs, outputs) of every layer that gets an adapter."""
    wanted = set(layer_numbers(settings.layers, facts.layers))
    return [
        (layer.name, layer.inputs, layer.outputs)
        for layer in facts.linear_layers
        if (settings.targets == "all-linear" or layer.target in settings.targets)
        and (not settings.layers or layer.layer in wanted)
    ]


def check(settings: LoraSettings, facts: ModelFacts) -> None:
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
    layers = targeted(settings, facts)
    if not layers:
        raise Invalid(
            "No layer of the model matches these targets and layers.",
            "Choose other targets or leave the layers empty.",
            "method.targets",
        )
    narrowest = min(min(inputs, outputs) for _, inputs, outputs in layers)
    if settings.rank > narrowest:
        raise Invalid(
            f"Rank {settings.rank} is wider than the narrowest targeted layer ({narrowest}).",
            f"Choose a rank up to {narrowest}.",
            "method.rank",
        )


def trainable_parameters(settings: LoraSettings, facts: ModelFacts) -> int:
    layers = targeted(settings, facts)
    names = {name for name, _, _ in layers}
    learned = sum(settings.rank * (inputs + outputs) for _, inputs, outputs in layers)
    biases = {
        "none": 0,
        "all": facts.bias_parameters,
        "lora_only": sum(layer.bias for layer in facts.linear_layers if layer.name in names),
    }
    return learned + biases[settings.bias]


def add_to(settings: LoraSettings, model):
    """The model as a PeftModel with an untrained (no-op) adapter named "default"."""
    from peft import LoraConfig, get_peft_model  # here, not above: the web process must never load torch

    targets = settings.targets if settings.targets == "all-linear" else list(settings.targets)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        bias=settings.bias,
        use_rslora=settings.rslora,
        target_modules=_modules_in_layers(settings, model) if settings.layers else targets,
        fan_in_fan_out=any(
            type(module).__name__ == "Conv1D" for module in model.modules()
        ),  # GPT-2 keeps its weights transposed
    )
    return get_peft_model(model, config)


def _modules_in_layers(settings: LoraSettings, model) -> list[str]:
    """Full names of the targeted modules in the chosen layers. (PEFT takes layers_to_transform only beside a list of names.)"""
    import torch
    from transformers.pytorch_utils import Conv1D

    wanted = set(layer_numbers(settings.layers, model.config.num_hidden_layers))
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
        and layer_number(name) in wanted
        and (settings.targets == "all-linear" or name.rpartition(".")[2] in settings.targets)
    ]


METHOD = Method(
    name="lora",
    title="LoRA",
    settings=LoraSettings,
    check=check,
    trainable_parameters=trainable_parameters,
    modules=targeted,
    add_to=add_to,
)
