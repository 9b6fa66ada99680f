"""What the doctor looks at: the curves of a run and the numbers of its plan, as far as they are known."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

Points = Sequence[tuple[float, float]]
"""(step, value), in order of steps."""


@dataclass(frozen=True)
class Chart:
    """One run. Curves hold finite numbers only; steps are optimiser steps, from 1, and 0 is the base."""

    steps: int
    """Planned."""
    steps_per_epoch: int
    learning_rate: float
    usual_rate: float | None = None
    """What "auto" would take for this base, method and data."""
    warmup_steps: int = 0
    max_grad_norm: float = 1.0
    train_rows: int = 0
    heldout_rows: int = 0
    """Measured on."""
    own_heldout: bool = False
    """Whether the data itself says which rows are held out."""
    keeps_best: bool = False
    step: int = 0
    """Done so far."""
    ended: bool = False
    loss: Points = ()
    heldout: Points = ()
    grad_norm: Points = ()
    trained_tokens: Points = ()
    """Learned tokens of each step."""
    not_numbers: Sequence[float] = field(default=())
    """Steps whose loss was not a number."""
    unit: str = "row"
    """What a row is called: row, piece of text, pair."""

    def until(self, step: float) -> "Chart":
        """As it was when this step was done."""
        cut = {
            name: [point for point in getattr(self, name) if point[0] <= step]
            for name in ("loss", "heldout", "grad_norm", "trained_tokens")
        }
        passed = [at for at in self.not_numbers if at <= step]
        return replace(self, **cut, not_numbers=passed, step=min(self.step, int(step)), ended=False)

    @property
    def done(self) -> float:
        """Share of the planned steps."""
        return self.step / self.steps if self.steps else 0.0

    def level(self, from_share: float, to_share: float) -> float | None:
        """Median loss over a part of the steps done, such as (0.9, 1.0); None without any loss there."""
        count = len(self.loss)
        first, last = math.floor(from_share * count), math.ceil(to_share * count)
        part = [value for _, value in self.loss[first : max(last, first + 1)]]
        return median(part) if part else None

    def noise(self) -> float:
        """How far the loss of one step usually lies from its neighbours': the median distance of two, over √2."""
        values = [value for _, value in self.loss]
        if len(values) < 3:
            return 0.0
        return median(abs(b - a) for a, b in zip(values, values[1:], strict=False)) / math.sqrt(2)

    def loss_at(self, step: float, width: int = 5) -> float | None:
        """Median loss of the steps up to this one."""
        end = bisect_right(self.loss, step, key=lambda point: point[0])
        part = [value for _, value in self.loss[max(0, end - width) : end]]
        return median(part) if part else None


@dataclass(frozen=True)
class Finding:
    """One thing that the doctor found."""

    key: str
    title: str
    seen: str
    """With numbers and steps."""
    cause: str
    change: str
    """What to change, in words."""
    changes: dict = field(default_factory=dict)
    """The same as settings: dotted name → value, such as {"training.learning_rate": 1e-4}; empty where it is no setting."""
