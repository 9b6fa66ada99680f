"""Preference tuning (DPO): the chosen answer becomes likelier than the rejected one, compared with what the base thought of both.

Rafailov et al. 2023, arXiv:2305.18290. The reference is the base itself, with the adapter off: no second model is loaded.
Its log-probabilities of all answers are computed once, before the first step, and kept in the run's folder for every
epoch and every resume. The loss of a step is the mean over the pairs of its batch.
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from jobs.workers import attention
from jobs.workers.examples import Data
from jobs.workers.objectives.objective import Kept, Measures, Objective, Sums
from jobs.workers.packing import MicroBatch
from jobs.workers.pairs import Pair, Pairs
from jobs.workers.reference import load_reference, save_reference
from studio.methods.lora_targets import REPLACES_BASE

MEASURES = ("loss", "rewards_chosen", "rewards_rejected", "margin", "accuracy")
AT_REST = 1e-5  # a pair whose reward margin is smaller has not moved: it is counted as half right
MEASURED_AT_ONCE = 256  # pairs; so many are read from disk before they are packed


@dataclass(frozen=True)
class PairBatch:
    """Whole pairs, computed at once: the sequences of pair i are the documents 2i (chosen) and 2i + 1 (rejected)."""

    sequences: MicroBatch
    places: list[int]  # of the pairs in the token store
    reference: torch.Tensor | None  # float32 [pairs, 2]: the base's log-probabilities of both answers
    lengths: torch.Tensor  # float32 [pairs, 2]: learned tokens of both answers

    @property
    def tokens(self) -> int:
        return self.sequences.tokens

    @property
    def padding(self) -> int:
        return self.sequences.padding


class Preference(Objective):
    def prepare(self, data: Data, kept: Kept) -> None:
        known = load_reference(kept.run, kept.key, len(data.train.store), kept.say)
        if known is None:
            # Starts that take a part out of the base's weights make up for it: there the adapter as it starts is the base
            replaces = getattr(self.plan.method, "init", None) in REPLACES_BASE
            with nullcontext() if replaces else self.engine.as_base():
                known = kept.add_up(self.log_probabilities(data, kept.own))
            save_reference(kept.run, kept.key, known)
            kept.say(
                f"What the base thinks of {len(data.train) + len(data.heldout):,} pairs is computed, once for the whole run."
            )
        data.train.reference = data.heldout.reference = known

    def log_probabilities(self, data: Data, own: Callable[[Pairs], Pairs]) -> np.ndarray:
        """Of both answers of every pair that this process has a part in, float64 [rows of the store, 2]; 0 elsewhere."""
        found = np.zeros((len(data.train.store), 2))
        for pairs in (data.train, data.heldout):
            for batch, sums in self.without_learning(own(pairs)):
                found[batch.places] = sums.double().cpu().numpy()
        return found

    def count(self, rows: Sequence[Pair]) -> int:
        return len(rows)

    def count_heldout(self, data: Data) -> int:
        return len(data.heldout)

    def micro_batches(self, rows: Sequence[Pair]) -> list[PairBatch]:
        """Pairs stay whole; one that is longer than the token budget goes alone."""
        return [self.batch(group) for group in self.engine.groups(rows)]

    def batch(self, pairs: list[Pair]) -> PairBatch:
        sequences = self.engine.micro_batch([document for pair in pairs for document in pair.documents])
        lengths = [[document.trained_tokens for document in pair.documents] for pair in pairs]
        known = pairs[0].reference is not None
        reference = torch.tensor([pair.reference for pair in pairs], dtype=torch.float32) if known else None
        return PairBatch(
            sequences,
            [pair.place for pair in pairs],
            reference.to(self.engine.device) if known else None,
            torch.tensor(lengths, dtype=torch.float32, device=self.engine.device),
        )

    def accumulate(self, batches: list[PairBatch], weight: float) -> Sums:
        total: Sums = dict.fromkeys(MEASURES, 0.0)
        for batch in batches:
            with attention.DOCUMENTS.of(batch.sequences):
                with self.engine.autocast():
                    sums = self.answer_sums(batch)
                losses = self.losses(batch, sums)
                (losses.sum() * weight).backward()
            add(total, self.told(batch, losses.detach(), sums.detach()).sum(dim=1).tolist())
        return total

    def measure(self, rows: Pairs) -> Measures:
        place_of = {place: index for index, place in enumerate(rows.places.tolist())}
        found = np.zeros((len(MEASURES), len(rows)))
        for batch, sums in self.without_learning(rows):
            told = self.told(batch, self.losses(batch, sums), sums)
            found[:, [place_of[place] for place in batch.places]] = told.double().cpu().numpy()
        return dict(zip(MEASURES, found, strict=True))

    def without_learning(self, rows: Pairs):
        """(micro-batch, log-probabilities of its answers) for all rows, as many read at once as is worth it."""
        self.engine.model.eval()
        try:
            with torch.no_grad():
                for start in range(0, len(rows), MEASURED_AT_ONCE):
                    for batch in self.micro_batches(list(rows[start : start + MEASURED_AT_ONCE])):
                        with attention.DOCUMENTS.of(batch.sequences), self.engine.autocast():
                            sums = self.answer_sums(batch)
                        yield batch, sums
        finally:
            self.engine.model.train()

    def answer_sums(self, batch: PairBatch) -> torch.Tensor:
        """Log-probability of each answer as a whole, float32 [pairs, 2]."""
        losses = self.engine.token_losses(batch.sequences)
        sums = torch.zeros(batch.lengths.numel(), dtype=losses.dtype, device=losses.device)
        return -sums.index_add(0, batch.sequences.documents, losses).view(-1, 2)

    def losses(self, batch: PairBatch, sums: torch.Tensor) -> torch.Tensor:
        """Loss of each pair, float32 [pairs]."""
        settings, gained = self.plan.training, sums - batch.reference
        if settings.dpo_loss == "ipo":
            # Azar et al. 2023, arXiv:2310.12036, eq. 17, on means per token as its authors and TRL have it
            each = gained / batch.lengths
            losses = (each[:, 0] - each[:, 1] - 1 / (2 * settings.dpo_beta)) ** 2
        else:
            losses = -logsigmoid(settings.dpo_beta * (gained[:, 0] - gained[:, 1]))
        if settings.rpo_alpha:  # Pang et al. 2024, arXiv:2404.19733: the chosen answer is learned as well, per token
            losses = losses - settings.rpo_alpha * sums[:, 0] / batch.lengths[:, 0]
        return losses

    def told(self, batch: PairBatch, losses: torch.Tensor, sums: torch.Tensor) -> torch.Tensor:
        """The measures of each pair, float32 [MEASURES, pairs]."""
        rewards = self.plan.training.dpo_beta * (sums - batch.reference)
        margins = rewards[:, 0] - rewards[:, 1]
        right = torch.where(margins.abs() < AT_REST, 0.5, (margins > 0).float())
        return torch.stack([losses, *rewards.unbind(dim=1), margins, right])


def add(total: Sums, more: list[float]) -> None:
    for name, value in zip(total, more, strict=True):
        total[name] += value
