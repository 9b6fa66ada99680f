"""Texts as the trainer reads them: pieces of the sequence length, none of which loses a token."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jobs.workers.packing import Example
from jobs.workers.token_store import TokenStore


class Pieces(Sequence[Example]):
    """The pieces of some documents of a token store, read from disk one by one; a slice of it is one again.

    Each piece but a document's first begins with the last token of the one before it, to be predicted from, so every
    token of a document but its first is learned exactly once (as studio/learning.py cuts them).
    """

    def __init__(self, store: TokenStore, documents: np.ndarray, starts: np.ndarray, most: int):
        """For each piece its document (a sequence of the store, from 0) and the token it starts at; `most`: tokens of a piece."""
        self.store, self.documents, self.starts, self.most = store, documents, starts, most

    @classmethod
    def of(cls, store: TokenStore, places: np.ndarray, most: int) -> "Pieces":
        """All pieces of the documents at these places of the store."""
        lengths = store.lengths[places]
        counts = np.where(lengths <= most, 1, -(-(lengths - 1) // (most - 1)))
        firsts = np.repeat(np.cumsum(counts) - counts, counts)
        starts = (np.arange(counts.sum()) - firsts) * (most - 1)
        return cls(store, np.repeat(places, counts), starts, most)

    @property
    def tokens(self) -> int:
        """As computed: a token that two pieces share counts twice."""
        return int(np.minimum(self.store.lengths[self.documents] - self.starts, self.most).sum())

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, wanted):
        if isinstance(wanted, slice):
            return Pieces(self.store, self.documents[wanted], self.starts[wanted], self.most)
        piece = self.store.example(int(self.documents[wanted]), self.most, int(self.starts[wanted]))
        return replace(piece, cut=0)  # what follows is in the next one
