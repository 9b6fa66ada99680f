"""TrainingPlan: everything that decides a training. The form, the API, plan.json and the worker read these declarations."""

import unicodedata
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from studio.errors import Invalid, clip
from studio.methods import METHODS

ADVANCED = {"advanced": True}
Auto = Literal["auto"]


class PlanPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TrainingSettings(PlanPart):
    """How the adapter is trained, whatever the method."""

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
        description="Size of a step. auto: 2e-4 for models from a billion parameters, more for smaller ones.",
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        "cosine",
        title="Schedule",
        description="How the learning rate falls towards the end.",
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
    quantization: Literal["none"] = Field(
        "none",
        title="Base in 4 bits",
        description="Not in this version: the base is loaded as it is.",
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
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        title="Seed",
        description="Same seed, same data, same device: same adapter.",
        json_schema_extra=ADVANCED,
    )
    sample_prompts: list[Annotated[str, Field(min_length=1, max_length=2000)]] = Field(
        default_factory=list,
        max_length=10,
        title="Pinned prompts",
        description="Answered at each evaluation, one per line. Empty: the first held-out prompts.",
        json_schema_extra=ADVANCED,
    )

    @field_validator("epochs", "learning_rate", "warmup_ratio", "validation", mode="before")
    @classmethod
    def no_truth_values(cls, value: Any) -> Any:
        if isinstance(value, bool):  # strict floats still take True as 1.0
            raise ValueError("must be a number")
        return value


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


def clean_name(text: str) -> str:
    """A name as it may be shown: composed (NFC), without control or direction characters, one line."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(c for c in composed if unicodedata.category(c)[0] != "C" or c in "\t\n ").split())


def given_name(text: str) -> str:
    """The name that a person gives to a thing, cleaned. Raises Invalid when nothing is left of it, or too much."""
    name = clean_name(text)
    if not 1 <= len(name) <= 100:
        raise Invalid("A name has 1 to 100 characters that can be seen.", "Choose another.", "name")
    return name


def known_method(value: Any) -> Any:
    """Fill in the method's name where it is left out, and refuse names that there are no methods for."""
    if not isinstance(value, dict):
        return value
    name = value.get("name", DEFAULT_METHOD)
    if not isinstance(name, str) or name not in METHODS:
        raise ValueError(f"there is no method '{clip(name)}', only: {', '.join(METHODS)}")
    return {**value, "name": name}


DEFAULT_METHOD = "lora"
AnyMethod = reduce(or_, (method.settings for method in METHODS.values()))
ByName = (Field(discriminator="name"),) if len(METHODS) > 1 else ()  # pydantic wants a choice to discriminate


class TrainingPlan(PlanPart):
    version: Literal[1] = 1
    name: str = Field(
        "",
        max_length=100,
        title="Name",
        description="How the run and its adapter are called. Empty: named after the data and the base.",
    )
    base_model: str = Field(
        min_length=1, max_length=64, title="Base model", description="Id of the model that is adapted."
    )
    dataset: str = Field(
        min_length=1, max_length=64, title="Data set", description="Id of the data that it learns from."
    )
    method: Annotated[AnyMethod, *ByName, BeforeValidator(known_method)] = Field(
        default_factory=METHODS[DEFAULT_METHOD].settings
    )
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    resources: Resources = Field(default_factory=Resources)
    tags: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, max_length=20, title="Tags", description="Words to find the run by."
    )
    notes: str = Field("", max_length=10_000, title="Notes", description="Anything worth remembering of this run.")

    @field_validator("name", mode="after")
    @classmethod
    def shown_name(cls, name: str) -> str:
        return clean_name(name)


def read_plan(values: Any) -> TrainingPlan:
    """A checked plan from JSON-like values. Raises Invalid with the first wrong field, in words."""
    try:
        return TrainingPlan.model_validate(values)
    except ValidationError as error:
        raise invalid_setting(error) from None


def invalid_setting(error: ValidationError) -> Invalid:
    """The first finding of pydantic as one sentence that names the setting as it is named in the plan."""
    return first_finding(error.errors(include_url=False))


def first_finding(findings: list[dict[str, Any]], leave_out: tuple[str, ...] = ()) -> Invalid:
    """One sentence about the first wrong field. Where several alternatives were tried on it ("auto" or a number), the last
    one speaks: it is the one that says what numbers are allowed."""
    if tag := findings[0].get("ctx", {}).get("discriminator"):
        findings[0] = {**findings[0], "loc": (*findings[0]["loc"], tag.strip("'"))}
    first = _field(findings[0]["loc"], leave_out)
    found = [finding for finding in findings if _field(finding["loc"], leave_out) == first][-1]
    if found["type"] == "extra_forbidden":
        return Invalid(f"There is no setting '{clip(first)}'.", "Leave it out.", first)
    if found["type"] == "missing":
        return Invalid(f"'{first}' is missing.", "Give it a value.", first)
    said = found["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    return Invalid(
        f"'{first}' cannot be {clip(repr(found.get('input')), 60)}: it {said}."
        if said.startswith("should")
        else f"'{first}': {said}.",
        "Change it and try again.",
        first,
    )


def _field(path: tuple[str | int, ...], leave_out: tuple[str, ...]) -> str:
    """The dotted name of a setting, without the names that pydantic gives to alternatives and to methods."""
    noise, names = (
        ("literal[", "constrained-", "list[", "function-"),
        ("int", "float", "str", "bool", *METHODS, *leave_out),
    )
    return ".".join(str(part) for part in path if not str(part).startswith(noise) and str(part) not in names)


class ResolvedPlan(BaseModel):
    """A plan with a number in place of every "auto": resolved.json, made when the run is queued and followed by the worker.

    Rows, steps and tokens are what the plan expected from the data's lengths; the worker counts them again on the data
    itself and says so in its log and result.json.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    device: Literal["cpu", "cuda"]
    processes: int = 1
    precision: Literal["fp32", "bf16", "fp16"]
    targets: list[str]  # names of the modules that get an adapter
    sequence_length: int  # tokens; rows are cut here
    epochs: float
    train_rows: int
    heldout_rows: int  # measured on at each evaluation; 0 means no evaluation
    steps: int
    warmup_steps: int
    learning_rate: float
    batch_size: int  # rows per optimiser step
    micro_batch: int  # rows computed at once, at most
    accumulation: int  # micro-batches per step, when they are full
    token_budget: int  # tokens computed at once, at most (a single longer row goes alone)
    gradient_checkpointing: bool
    evaluate_every: int  # steps
    checkpoint_every: int  # steps
    cut_rows: int = 0  # rows longer than sequence_length
    cut_tokens: int = 0
    tokens: int = 0  # over all epochs, as trained on
    reasons: dict[str, str] = Field(default_factory=dict)  # field -> one line on why it has this value
