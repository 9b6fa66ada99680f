"""AdaLoRA: LoRA as singular triplets whose ranks move during the training to where they matter (Zhang et al. 2023, arXiv:2303.10512)."""

import warnings
from typing import Any, Literal

from pydantic import Field

from studio.errors import Invalid
from studio.methods.method import Method, Rate, Shapes, StepHooks
from studio.methods.targeting import (
    Dropout,
    TargetedSettings,
    check_targets,
    keeps_weights_transposed,
    peft_targets,
    targeted,
)
from studio.model_facts import ModelFacts

SHARE = {"ge": 0, "le": 0.9}


class AdaloraSettings(TargetedSettings):
    name: Literal["adalora"] = "adalora"
    rank: int = Field(
        8,
        ge=1,
        le=512,
        title="Average rank",
        description="What a layer has on average at the end; some keep more, some none. More learns more and makes a larger file.",
        json_schema_extra={"slider": [1, 128]},
    )
    start_rank: int = Field(
        12,
        ge=2,
        le=768,
        title="Rank at the start",
        description="What every layer begins with, above the average rank. Half as much again is usual.",
        json_schema_extra={"slider": [2, 192]},
    )
    alpha: float = Field(
        24,
        gt=0,
        le=4096,
        title="Alpha",
        description="The update is scaled by alpha / rank at the start. Twice that rank is usual.",
        json_schema_extra={"slider": [1, 512]},
    )
    dropout: Dropout = 0.05
    full_share: float = Field(
        0.1,
        **SHARE,
        title="All ranks for the first",
        description="Share of the steps before ranks are taken away, so that there is something to judge them by.",
        json_schema_extra={"advanced": True},
    )
    settled_share: float = Field(
        0.3,
        **SHARE,
        title="Ranks settled for the last",
        description="Share of the steps at the end in which the ranks stay as they are.",
        json_schema_extra={"advanced": True},
    )
    orthogonality: float = Field(
        0.5,
        ge=0,
        le=100,
        title="Orthogonality",
        description="How strongly the learned directions are kept at right angles, which is what makes them comparable.",
        json_schema_extra={"advanced": True},
    )

    @property
    def scale(self) -> float:
        return self.alpha / self.start_rank


def check(settings: AdaloraSettings, facts: ModelFacts) -> None:
    narrowest = min(min(layer.inputs, layer.outputs) for layer in check_targets(settings, facts))
    if settings.start_rank > narrowest:
        raise Invalid(
            f"A start rank of {settings.start_rank} is wider than the narrowest targeted layer ({narrowest}).",
            f"Choose up to {narrowest}.",
            "method.start_rank",
        )
    if settings.rank >= settings.start_rank:
        raise Invalid(
            f"An average rank of {settings.rank} leaves nothing to take away from the {settings.start_rank} at the start.",
            f"Choose an average rank below {settings.start_rank}, or a higher one at the start.",
            "method.rank",
        )
    if settings.full_share + settings.settled_share >= 1:
        raise Invalid(
            f"Between the first {settings.full_share:.0%} and the last {settings.settled_share:.0%} of the steps "
            "there is none in which ranks could be taken away.",
            "Choose shares that are less than 100 % together.",
            "method.settled_share",
        )


def trainable_parameters(settings: AdaloraSettings, facts: ModelFacts) -> int:
    rank = settings.start_rank
    return sum(rank * (inputs + outputs + 1) for _, inputs, outputs in targeted(settings, facts))


def saved(settings: AdaloraSettings, facts: ModelFacts) -> Shapes:
    """As large as it is on average: which layer keeps how much is decided in the training."""
    shapes, rank = {}, settings.rank
    for name, inputs, outputs in targeted(settings, facts):
        at = f"base_model.model.{name}"
        shapes |= {f"{at}.lora_A": (rank, inputs), f"{at}.lora_B": (outputs, rank), f"{at}.lora_E": (rank, 1)}
    return shapes


def add_to(settings: AdaloraSettings, model):
    """The model as a PeftModel with an untrained (no-op) adapter named "default"; its schedule is set by `RankBudget`."""
    from peft import AdaLoraConfig, get_peft_model

    config = AdaLoraConfig(
        task_type="CAUSAL_LM",
        target_r=settings.rank,
        init_r=settings.start_rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        orth_reg_weight=settings.orthogonality,
        total_step=1,
        target_modules=peft_targets(settings, model),
        fan_in_fan_out=keeps_weights_transposed(model),
    )
    return get_peft_model(model, config)


class RankBudget(StepHooks):
    """PEFT's rank allocator over one training: scores the triplets after each step and masks the least important ones.

    Ranks are allocated anew after every step (PEFT's deltaT = 1), so that what is masked is exactly zero whenever a
    step has ended and the adapter can be saved there.
    """

    SCORES = {"importance": "exp_avg_ipt", "uncertainty": "exp_avg_unc"}

    def __init__(self, settings: AdaloraSettings, model, steps: int):
        self.settings, self.model = settings, model
        self.allocator, self.config = model.base_model.rankallocator, model.peft_config["default"]
        settled = min(int(settings.settled_share * steps), max(0, steps - 2))  # scores of one step at least come first
        self.config.total_step, self.config.tfinal = steps, settled
        self.config.tinit = min(int(settings.full_share * steps), max(0, steps - settled - 1))
        self.allocates = steps > 1

    def penalty(self):
        """Mean over the matrices of |PPᵀ - I|, weighted: equation 4 of the paper, as PEFT computes it with its own loss."""
        import torch

        if not self.settings.orthogonality:
            return None
        apart = []
        for name, matrix in self._parameters(".lora_A.", ".lora_B."):
            products = matrix @ matrix.T if ".lora_A." in name else matrix.T @ matrix
            apart.append(torch.linalg.matrix_norm(products - torch.eye(len(products), device=products.device)))
        return self.settings.orthogonality * torch.stack(apart).mean()

    def after_step(self, step: int) -> None:
        settled = step > self.config.total_step - self.config.tfinal
        if self.allocates and (self.config.rank_pattern or not settled):
            self.model.base_model.update_and_allocate(step)

    def tensors(self) -> dict[str, Any]:
        import torch

        found = {
            f"{kind}/{name}": values
            for kind, scores in self.SCORES.items()
            for name, values in getattr(self.allocator, scores).items()
        }
        pattern = self.config.rank_pattern or {}
        return found | {f"kept/{name}": torch.tensor(kept) for name, kept in pattern.items()}

    def restore(self, tensors: dict[str, Any]) -> None:
        devices = {name: parameter.device for name, parameter in self._parameters(".lora_")}
        pattern = {}
        for key, values in tensors.items():
            kind, _, name = key.partition("/")
            if kind == "kept":
                pattern[name] = values.tolist()
                continue
            values = values.to(devices[name])
            getattr(self.allocator, self.SCORES[kind])[name] = values
            self.allocator.ipt[name] = values.new_zeros(values.shape)  # made anew in each step
        self.config.rank_pattern = pattern or None

    def before_save(self) -> None:
        """The pattern of the parameters as they stand: they may be those of an earlier step, which was the best."""
        warnings.filterwarnings("ignore", r"Adapter '.+': \d+ LoRA tensor")  # PEFT wonders at layers that keep no rank
        if self.config.rank_pattern:
            self.config.rank_pattern = {
                name: (values != 0).flatten().tolist() for name, values in self._parameters(".lora_E.")
            }

    def _parameters(self, *parts: str) -> list[tuple[str, Any]]:
        """Of the adapter, by the names that PEFT's allocator calls them: those within the base model."""
        return [
            (name, parameter)
            for name, parameter in self.model.base_model.model.named_parameters()
            if any(part in name for part in parts)
        ]


METHOD = Method(
    name="adalora",
    title="AdaLoRA",
    settings=AdaloraSettings,
    check=check,
    trainable_parameters=trainable_parameters,
    modules=targeted,
    add_to=add_to,
    summary="LoRA that moves its ranks to the layers where they help most. For a small file; takes more steps to learn as much.",
    place=20,
    saved=saved,
    rate=Rate(10, "AdaLoRA starts from smaller matrices than LoRA, so it takes larger steps"),
    step_hooks=RankBudget,
)
