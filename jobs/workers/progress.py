"""How far a training is: what a checkpoint takes along besides tensors."""

from dataclasses import dataclass, field


@dataclass
class Progress:
    """How far a training is; saved with each checkpoint."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0  # of steps, evaluations and samples, over all attempts
    step_seconds: float = 0.0  # of the steps alone
    loss: float | None = None  # of the last step
    base_heldout_loss: float | None = None
    heldout_loss: float | None = None
    heldout_measures: dict[str, float] = field(default_factory=dict)  # the newest, by name
    best_measures: dict[str, float] = field(default_factory=dict)  # those of best_step
    best_heldout_loss: float | None = None
    best_step: int | None = None
    evaluations_since_best: int = 0
    base_rows: dict[str, list[float]] = field(default_factory=dict)  # measures of each held-out row: of the base,
    heldout_rows: dict[str, list[float]] = field(default_factory=dict)  # at the newest evaluation,
    best_rows: dict[str, list[float]] = field(default_factory=dict)  # and at best_step
    evaluated_at: int = -1  # step
