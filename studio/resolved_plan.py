"""ResolvedPlan: what a run really does, with a number in place of every "auto"."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ResolvedPlan(BaseModel):
    """A plan with a number in place of every "auto": resolved.json, made when the run is queued and followed by the worker.

    Rows, steps and tokens are what the plan expected from the data's lengths; the worker counts them again on the data
    itself and says so in its log and result.json.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    device: Literal["cpu", "cuda"]
    processes: int = 1
    precision: Literal["fp32", "bf16", "fp16"]
    objective: Literal["answers", "text", "preference"] = "answers"
    answers: Literal["all", "last", "marked"] = "all"  # of a conversation
    split: Literal["seed", "content"] = (
        "seed"  # how held-out rows are chosen where the data marks none; "seed": before versions
    )
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
    may_recompute: bool = True  # whether the method works with gradient checkpointing, should memory run out
    evaluate_every: int  # steps
    checkpoint_every: int  # steps
    cut_rows: int = 0  # rows longer than sequence_length
    cut_tokens: int = 0
    tokens: int = 0  # over all epochs, as trained on
    reasons: dict[str, str] = Field(default_factory=dict)  # field -> one line on why it has this value
