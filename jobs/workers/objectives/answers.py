"""Learning the supervised tokens: the answers of conversations, or all tokens of texts. The loss is their mean cross-entropy."""

from collections.abc import Sequence

from jobs.workers.examples import Data
from jobs.workers.objectives.objective import Measures, Objective, Sums
from jobs.workers.packing import Example, MicroBatch


class Answers(Objective):
    def count(self, rows: Sequence[Example]) -> int:
        return sum(example.trained_tokens for example in rows)

    def count_heldout(self, data: Data) -> int:
        return data.heldout_tokens

    def micro_batches(self, rows: Sequence[Example]) -> list[MicroBatch]:
        return self.engine.micro_batches(rows)

    def accumulate(self, batches: list[MicroBatch], weight: float) -> Sums:
        return {"loss": self.engine.accumulate(batches, weight)}

    def measure(self, rows: Sequence[Example]) -> Measures:
        return {"loss": self.engine.measure(rows)}
