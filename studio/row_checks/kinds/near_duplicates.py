"""Rows that are nearly the same as another one: MinHash of their words, in bands (Broder 1997; Leskovec et al., "Mining of
Massive Datasets", chapter 3), by rensa.

Of each row 64 numbers are kept on disk, not in memory: rows whose numbers agree in one of 16 bands are compared, and rows
that agree in most of the 64 are nearly the same, for the share that agrees estimates the share of word triples they share.
"""

import tempfile
from array import array
from collections.abc import Iterator

import numpy as np

from studio.row_checks.check import Check, Said

NUMBERS, BANDS = 64, 16
SHARE = 0.85  # of the numbers that must agree; the estimate is off by 0.045
FEWEST_WORDS = 12  # a shorter row is the same or it is not
MOST_WORDS = 2000  # of a longer one its beginning tells enough
SEED = 1
IN_MEMORY = 8192  # rows whose numbers wait to be written


class NearCopies:
    """Numbers of all rows: 13 bytes a row in memory, 256 on disk."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 gone with this object
        self.rows = 0  # that have numbers
        self.places = array("q")
        self.hashes = array("I")  # of all that is said, to leave out what is exactly the same
        self.heldout = bytearray()
        self._waiting: list[list[int]] = []

    def add(self, place: int, said: Said) -> None:
        from rensa import RMinHash  # compiled; only this pass needs it

        words = said.text.lower().split(None, MOST_WORDS)[:MOST_WORDS]
        if len(words) < FEWEST_WORDS:
            return
        hashed = RMinHash(num_perm=NUMBERS, seed=SEED)
        hashed.update(list(map(" ".join, zip(words, words[1:], words[2:], strict=False))))
        self._waiting.append(hashed.digest())
        self.places.append(place)
        self.hashes.append(hash(said.text) & 0xFFFFFFFF)
        self.heldout.append(said.heldout)
        if len(self._waiting) == IN_MEMORY:
            self._write()

    def _write(self) -> None:
        np.array(self._waiting, np.uint32).tofile(self.file)
        self.rows += len(self._waiting)
        self._waiting = []

    def findings(self) -> Iterator[tuple[str, int, str]]:
        if self._waiting:
            self._write()
        if not self.rows:
            return
        self.file.flush()
        numbers = np.memmap(self.file, np.uint32, "r", shape=(self.rows, NUMBERS))
        likest = self._likest(numbers)
        for row in np.flatnonzero(likest >= 0):
            other = int(likest[row])
            yield from self._said(int(row), other, float(np.mean(numbers[row] == numbers[other])))

    def _likest(self, numbers: np.ndarray) -> np.ndarray:
        """For each row an earlier one that it is nearly the same as, or -1."""
        likest = np.full(self.rows, -1, np.int64)
        width = NUMBERS // BANDS
        for band in range(BANDS):
            keys = _hashed(numbers[:, band * width : (band + 1) * width])
            order = np.argsort(keys, kind="stable")
            same = np.concatenate([[False], keys[order][1:] == keys[order][:-1]])
            first = order[np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))]
            for others in (
                first,
                np.concatenate([[0], order[:-1]]),
            ):  # the first of the band's rows, and the one before
                self._keep_likest(numbers, likest, order[same], others[same])
        return likest

    def _keep_likest(self, numbers: np.ndarray, likest: np.ndarray, rows: np.ndarray, others: np.ndarray) -> None:
        hashes = np.frombuffer(self.hashes, np.uint32)
        wanted = (likest[rows] < 0) & (hashes[rows] != hashes[others])
        rows, others = rows[wanted], others[wanted]
        for start in range(0, len(rows), IN_MEMORY):
            some, theirs = rows[start : start + IN_MEMORY], others[start : start + IN_MEMORY]
            alike = np.mean(numbers[some] == numbers[theirs], axis=1) >= SHARE
            likest[some[alike]] = theirs[alike]

    def _said(self, row: int, other: int, share: float) -> Iterator[tuple[str, int, str]]:
        place, its = self.places[row], self.places[other]
        if self.heldout[row] != self.heldout[other]:
            trained, held = (its, place) if self.heldout[row] else (place, its)
            yield "near_leakage", trained, f"about {share:.0%} the same as row {held + 1:,}, which is held out"
        else:
            yield "near_duplicate", place, f"about {share:.0%} the same as row {its + 1:,}"


def _hashed(band: np.ndarray) -> np.ndarray:
    """One 64-bit number for each row of a band."""
    mixed = np.zeros(len(band), np.uint64)
    for column in band.T:
        mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


CHECKS = [
    Check(
        "near_duplicate",
        "Near duplicates",
        "What stands there nearly twice counts nearly twice.",
        "Drop the later ones",
        "dropped as near duplicates",
        gather=NearCopies,
        when="second",
    ),
    Check(
        "near_leakage",
        "Nearly the same in training and held out",
        "What was learned by heart is measured as if it were understood: the held-out loss is too good.",
        "Drop them from training",
        "dropped from training because they are held out, nearly",
        when="second",
    ),
]
