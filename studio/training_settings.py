"""How an adapter is trained, whatever the method, and on what: the plan's settings besides the method's own."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

ADVANCED = {"advanced": True}
Auto = Literal["auto"]


class PlanPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TrainingSettings(PlanPart):
    """How the adapter is trained, whatever the method."""

    objective: Literal["auto", "answers", "text", "preference"] = Field(
        "auto",
        title="What to learn",
        description="auto: what the data is for: the answers of conversations, all of a text, which of two answers is preferred.",
        json_schema_extra=ADVANCED,
    )
    answers: Literal["auto", "all", "last", "marked"] = Field(
        "auto",
        title="Answers learned",
        description="Of a conversation: all answers, only the last one, or those that the data marks. auto: marked ones where there are marks, otherwise all.",
        json_schema_extra=ADVANCED,
    )
    dpo_beta: float = Field(
        0.1,
        gt=0,
        le=10,
        title="Preference strength",
        description="Of preference pairs (DPO's beta): larger keeps the adapter closer to the base, smaller lets it move further.",
        json_schema_extra=ADVANCED,
    )
    dpo_loss: Literal["sigmoid", "ipo"] = Field(
        "sigmoid",
        title="Preference loss",
        description="Of preference pairs. sigmoid: DPO as published; ipo: aims at a fixed distance, against overfitting on clear-cut pairs.",
        json_schema_extra=ADVANCED,
    )
    rpo_alpha: float = Field(
        0.0,
        ge=0,
        le=100,
        title="Share of plain learning",
        description="Of preference pairs: how much the chosen answer is learned word for word as well; 1 is usual (RPO), 0 is plain DPO.",
        json_schema_extra=ADVANCED,
    )
    epochs: Auto | Annotated[float, Field(gt=0, le=1000)] = Field(
        "auto",
        title="Epochs",
        description="How often every row is learned from. auto: fewer for more data, more for a very small base.",
    )
    max_steps: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        title="Step limit",
        description="Stop after this many optimiser steps, whatever the epochs say.",
        json_schema_extra=ADVANCED,
    )
    learning_rate: Auto | Annotated[float, Field(gt=0, le=1)] = Field(
        "auto",
        title="Learning rate",
        description="Size of a step. auto: 2e-4 for LoRA on models from a billion parameters, more for smaller ones and other methods.",
    )
    schedule: Literal["cosine", "linear", "constant", "warmup-stable-decay"] = Field(
        "cosine",
        title="Schedule",
        description="How the learning rate falls towards the end. warmup-stable-decay: it stays up and falls only in the last part.",
        json_schema_extra=ADVANCED,
    )
    decay_ratio: float = Field(
        0.2,
        gt=0,
        le=1,
        title="Decay",
        description="Share of the steps in which the learning rate falls to 0 at the end, with the schedule warmup-stable-decay.",
        json_schema_extra=ADVANCED,
    )
    optimizer: Literal["adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit"] = Field(
        "adamw",
        title="Optimizer",
        description="adamw is exact. 8bit keeps its averages in a quarter of the memory; paged moves them out of a full GPU.",
        json_schema_extra=ADVANCED,
    )
    warmup_ratio: float = Field(
        0.05,
        ge=0,
        lt=1,
        title="Warm-up",
        description="Share of the steps in which the learning rate rises from 0.",
        json_schema_extra=ADVANCED,
    )
    batch_size: int = Field(
        16,
        ge=1,
        le=4096,
        title="Batch size",
        description="Rows per optimiser step, over all devices. The gradient is exactly that of this batch.",
    )
    micro_batch: Auto | Annotated[int, Field(ge=1, le=4096)] = Field(
        "auto",
        title="Micro-batch",
        description="Rows computed at once; the rest of the batch is accumulated. auto: what the memory allows.",
        json_schema_extra=ADVANCED,
    )
    sequence_length: Auto | Annotated[int, Field(ge=8, le=1_048_576)] = Field(
        "auto",
        title="Sequence length",
        description="Longest row in tokens; what is longer is cut, counted and shown. auto: the data's longest row that the model can take.",
    )
    packing: bool = Field(
        True,
        title="Packing",
        description="Rows share a sequence without seeing each other, so that no padding is computed.",
        json_schema_extra=ADVANCED,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        title="Precision",
        description="Arithmetic of the training. auto: bf16 where the device has it, otherwise fp32.",
        json_schema_extra=ADVANCED,
    )
    quantization: Literal["none", "nf4", "int8"] = Field(
        "none",
        title="Base in 4 or 8 bits",
        description="Load the base smaller, to train larger models. nf4: 4 bits a weight (QLoRA). int8: 8 bits, closer to the base in full. "
        "Each step takes longer; the adapter is made for the base as it is loaded.",
        json_schema_extra=ADVANCED,
    )
    gradient_checkpointing: Auto | bool = Field(
        "auto",
        title="Gradient checkpointing",
        description="Recompute activations to save memory, at half as much compute again. auto: only when memory needs it.",
        json_schema_extra=ADVANCED,
    )
    weight_decay: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Weight decay",
        description="AdamW's pull of the learned weights towards 0.",
        json_schema_extra=ADVANCED,
    )
    max_grad_norm: float = Field(
        1.0,
        gt=0,
        le=1000,
        title="Gradient clipping",
        description="Gradients longer than this are shortened to it.",
        json_schema_extra=ADVANCED,
    )
    neftune_alpha: Annotated[float, Field(gt=0, le=100)] | None = Field(
        None,
        title="NEFTune noise",
        description="Random noise on the embeddings while training, against overfitting on little data; 5 is usual. Empty: none.",
        json_schema_extra=ADVANCED,
    )
    validation: Auto | Annotated[float, Field(ge=0, lt=1)] = Field(
        "auto",
        title="Held-out share",
        description="Rows kept out of training to measure on. auto: the data's own held-out part, otherwise the smaller of 5 % and 200 rows.",
        json_schema_extra=ADVANCED,
    )
    evaluate_every: Auto | Annotated[int, Field(ge=1)] = Field(
        "auto",
        title="Evaluate every",
        description="Optimiser steps between two evaluations on held-out rows. auto: eight times in a run.",
        json_schema_extra=ADVANCED,
    )
    checkpoint_every: Auto | Annotated[int, Field(ge=1)] = Field(
        "auto",
        title="Checkpoint every",
        description="Optimiser steps between two checkpoints. auto: at each evaluation.",
        json_schema_extra=ADVANCED,
    )
    keep_checkpoints: int = Field(
        2, ge=1, le=100, title="Checkpoints kept", description="Older ones are deleted.", json_schema_extra=ADVANCED
    )
    early_stopping: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None,
        title="Early stopping",
        description="End when the held-out loss has not fallen for this many evaluations.",
        json_schema_extra=ADVANCED,
    )
    keep: Literal["auto", "last", "best"] = Field(
        "auto",
        title="Adapter kept",
        description="last: as it is after the last step; best: as it was when the held-out loss was lowest. auto: best with early stopping.",
        json_schema_extra=ADVANCED,
    )
    verdict: bool = Field(
        True,
        title="Verdict at the end",
        description="Compare the adapter with the base on the held-out rows when the training is done: how sure the difference is, and the answers "
        "of both to a few of them. Evaluations have measured the rows already, so only the answers take time.",
        json_schema_extra=ADVANCED,
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Same seed, same data, same device: same adapter.",
        json_schema_extra=ADVANCED,
    )
    suites: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list,
        max_length=20,
        title="Suites after it",
        description="Answered by base and adapter when the training is done: their names or ids, one per line. Those that are set to follow "
        "every training are answered as well.",
        json_schema_extra=ADVANCED,
    )
    sample_prompts: list[Annotated[str, Field(min_length=1, max_length=2000)]] = Field(
        default_factory=list,
        max_length=10,
        title="Pinned prompts",
        description="Answered at each evaluation, one per line. Empty: the first held-out prompts.",
        json_schema_extra=ADVANCED,
    )

    @field_validator(
        "dpo_beta",
        "rpo_alpha",
        "epochs",
        "learning_rate",
        "warmup_ratio",
        "decay_ratio",
        "neftune_alpha",
        "validation",
        mode="before",
    )
    @classmethod
    def no_truth_values(cls, value: Any) -> Any:
        if isinstance(value, bool):  # strict floats still take True as 1.0
            raise ValueError("must be a number")
        return value

    @property
    def keeps_best(self) -> bool:
        """Whether the adapter at its lowest held-out loss is what remains, rather than the last one."""
        return self.keep == "best" or (self.keep == "auto" and self.early_stopping is not None)


class Resources(PlanPart):
    gpus: int = Field(
        1,
        ge=1,
        le=64,
        title="Devices",
        description="Device slots the run takes; on a machine without a GPU, 1 is the CPU.",
        json_schema_extra=ADVANCED,
    )
    priority: int = Field(
        0,
        ge=-10,
        le=10,
        title="Priority",
        description="Higher starts first; equal ones in the order they came.",
        json_schema_extra=ADVANCED,
    )
