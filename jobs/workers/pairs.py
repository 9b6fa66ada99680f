"""Pairs of answers as the trainer reads them: two sequences with the same prompt, and what the base thinks of both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.workers.packing import Example
from jobs.workers.token_store import TokenStore


@dataclass(frozen=True)
class Pair:
    place: int  # in the token store, from 0
    chosen: Example
    rejected: Example
    reference: tuple[float, float] | None = None  # the base's log-probabilities of both answers

    def __len__(self) -> int:
        return len(self.chosen) + len(self.rejected)

    @property
    def documents(self) -> tuple[Example, Example]:
        return self.chosen, self.rejected

    @property
    def trained_tokens(self) -> int:
        return self.chosen.trained_tokens + self.rejected.trained_tokens


class Pairs(Sequence[Pair]):
    """The pairs at some places of a token store with two sequences for each row, read from disk one by one."""

    def __init__(self, store: TokenStore, places: np.ndarray, most: int, reference: np.ndarray | None = None):
        """`most`: tokens at which each sequence is cut; `reference`: log-probabilities [rows of the store, 2]."""
        self.store, self.places, self.most, self.reference = store, places, most, reference

    @property
    def tokens(self) -> int:
        both = np.minimum(self.store.lengths, self.most).reshape(-1, 2).sum(axis=1)
        return int(both[self.places].sum())

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, wanted):
        if isinstance(wanted, slice):
            return Pairs(self.store, self.places[wanted], self.most, self.reference)
        place = int(self.places[wanted])
        chosen, rejected = (self.store.example(2 * place + side, self.most) for side in (0, 1))
        return Pair(place, chosen, rejected, None if self.reference is None else tuple(self.reference[place]))
