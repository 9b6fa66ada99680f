"""LoRA: freeze the base model and learn two small matrices beside each targeted layer (Hu et al. 2021, arXiv:2106.09685)."""

from typing import Literal

from pydantic import Field

from studio.errors import Invalid
from studio.methods.method import Method
from studio.methods.targeting import TargetedSettings, check_targets, keeps_weights_transposed, peft_targets, targeted
from studio.model_facts import ModelFacts


class LoraSettings(TargetedSettings):
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

    @property
    def scale(self) -> float:
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)


def check(settings: LoraSettings, facts: ModelFacts) -> None:
    layers = check_targets(settings, facts)
    narrowest = min(min(layer.inputs, layer.outputs) for layer in layers)
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

    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        bias=settings.bias,
        use_rslora=settings.rslora,
        target_modules=peft_targets(settings, model),
        fan_in_fan_out=keeps_weights_transposed(model),
    )
    return get_peft_model(model, config)


METHOD = Method(
    name="lora",
    title="LoRA",
    settings=LoraSettings,
    check=check,
    trainable_parameters=trainable_parameters,
    modules=targeted,
    add_to=add_to,
    summary="Two small matrices beside each layer. The usual choice: quick, small, and mostly as good as training every weight.",
    place=10,
)
