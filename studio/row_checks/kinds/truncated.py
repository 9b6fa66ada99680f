"""Answers that stop in the middle of a sentence, many of them after exactly as many characters: a limit has cut them."""

from array import array
from collections.abc import Iterator

import numpy as np

from studio.row_checks.check import Check, Said

SHORTEST = 40  # characters; labels and names are short and end without a full stop
FEWEST = 3
NEAR = 20  # characters to both sides that say how many answers are about as long by chance
TIMES = 8
LONGEST = 1 << 20


class Truncated:
    """Lengths of answers that end in the middle: 12 bytes for each of those."""

    def __init__(self) -> None:
        self.places = array("q")
        self.lengths = array("i")

    def add(self, place: int, said: Said) -> None:
        answer = said.answers[-1] if said.answers else ""
        if answer[-1:].isalnum() or answer[-1:] == ",":
            length = len(answer)
            if SHORTEST <= length < LONGEST:
                self.places.append(place)
                self.lengths.append(length)

    def findings(self) -> Iterator[tuple[str, int, str]]:
        lengths = np.frombuffer(self.lengths, np.int32)
        if not len(lengths):
            return
        counts = np.bincount(lengths, minlength=int(lengths.max()) + NEAR + 1)
        summed = np.concatenate([[0], np.cumsum(counts)])
        at = np.arange(len(counts))
        low, high = np.maximum(at - NEAR, 0), np.minimum(at + NEAR + 1, len(counts))
        around = (summed[high] - summed[low] - counts) / (2 * NEAR)
        suspicious = (counts >= FEWEST) & (counts >= TIMES * (around + 0.2))
        for place, length in zip(self.places, self.lengths, strict=True):
            if suspicious[length]:
                others = int(counts[length]) - 1
                yield "truncated", place, f"stops in mid-sentence after {length:,} characters, like {others:,} others"


CHECKS = [
    Check(
        "truncated",
        "Answers that were cut off",
        "The model learns to stop in the middle of a sentence.",
        "Drop these rows",
        "dropped for an answer that was cut off",
        gather=Truncated,
    )
]
