"""What the training loop asks of an objective: batches to compute, a loss to learn from, and what to tell of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.workers.engine import Engine
from jobs.workers.examples import Data
from studio.folders import RunFolder
from studio.plan import TrainingPlan

Sums = dict[str, float]
"""Measures summed over rows or tokens, "loss" among them; divided by `count` they are the means that are told."""
Measures = dict[str, np.ndarray]
"""The same measures of each row, float64 [rows]; their sums are Sums."""


@dataclass(frozen=True)
class Kept:
    """Where an objective keeps what it works out once for a run, and how the processes share that work."""

    run: RunFolder
    key: str
    """Names everything that it depends on."""
    say: Callable[[str], None]
    own: Callable[[Sequence], Sequence]
    """own(rows): those of this process."""
    add_up: Callable[[np.ndarray], np.ndarray]
    """add_up(array): its sum over all processes."""


class Objective(ABC):
    """Everything that depends on what is learned. Rows are those of `data.train` and `data.heldout`."""

    def __init__(self, engine: Engine, plan: TrainingPlan):
        self.engine, self.plan = engine, plan

    def prepare(self, data: Data, kept: Kept) -> None:  # noqa: B027 most objectives need nothing
        """Before the first step, with the adapter as it starts: work out what has to be known of all rows."""

    @abstractmethod
    def count(self, rows: Sequence) -> int:
        """What the loss of these rows is the mean over."""

    @abstractmethod
    def count_heldout(self, data: Data) -> int:
        """The same for all held-out rows; 0 without any."""

    @abstractmethod
    def micro_batches(self, rows: Sequence) -> list:
        """What is computed at once, each with its `tokens` and its `padding`."""

    @abstractmethod
    def accumulate(self, batches: list, weight: float) -> Sums:
        """Add the gradients of weight × (sum of losses) over the micro-batches."""

    @abstractmethod
    def measure(self, rows: Sequence) -> Measures:
        """Of each row, without learning."""
