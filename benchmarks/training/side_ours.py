"""Our worker as a side: the very program that the runner starts, stopped before each of its steps.

Nothing is left out but the answers to pinned prompts, which no peer writes.
"""

import sys

from benchmarks.training.job import Job
from benchmarks.training.turns import Turns
from jobs.workers import train as worker
from jobs.workers.training import Training

TURNS = Turns()


class TurnByTurn(Training):
    def step(self, total: int) -> None:
        TURNS.wait()
        before = self.progress.tokens
        super().step(total)
        loss, tokens = self.progress.loss, self.progress.tokens - before
        supervised = sum(example.trained_tokens for example in self.batch(self.progress.step))
        useful = self.floor.useful(self.tokens_computed, supervised)
        TURNS.done(loss=loss, tokens=tokens, supervised=supervised, useful=useful)

    def computed(self, micro_batches: list) -> tuple[int, int]:
        self.tokens_computed, padding = super().computed(micro_batches)
        return self.tokens_computed, padding

    def answer_prompts(self) -> None:
        """None is pinned here."""


if __name__ == "__main__":
    worker.Training = TurnByTurn
    sys.exit(worker.main(Job.read(sys.argv[1]).attempt))
