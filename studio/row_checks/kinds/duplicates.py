"""Rows that stand in the data twice, and rows that are trained on and measured on at once."""

from array import array
from collections.abc import Iterator

import numpy as np

from studio.row_checks.check import Check, Said


class Copies:
    """Hashes of what rows say: 9 bytes a row. Python's hash has 64 bits, keyed by process."""

    def __init__(self) -> None:
        self.hashes = array("q")
        self.heldout = bytearray()

    def add(self, place: int, said: Said) -> None:
        self.hashes.append(hash(said.text) ^ (len(said.answers[-1]) if said.answers else 0))
        self.heldout.append(said.heldout)

    def groups(self) -> Iterator[np.ndarray]:
        """Places of rows that say the same, in their order."""
        hashes = np.frombuffer(self.hashes, np.int64)
        order = np.argsort(hashes, kind="stable")
        ends = np.flatnonzero(np.diff(hashes[order])) + 1
        starts = np.concatenate([[0], ends]) if len(order) else ends
        sizes = np.diff(np.concatenate([starts, [len(order)]]))
        for start, size in zip(starts[sizes > 1], sizes[sizes > 1], strict=True):
            yield order[start : start + size]

    def pairs(self) -> Iterator[tuple[str, int, int]]:
        """(name of the check, place of the row that would go, place of the one that it is a copy of), in order of the rows."""
        found: list[tuple[str, int, int]] = []
        for places in self.groups():
            held = [int(place) for place in places if self.heldout[place]]
            trained = [int(place) for place in places if not self.heldout[place]]
            found += [("duplicate", place, held[0]) for place in held[1:]]
            # of what is measured on, no copy is trained on: not even the first
            found += [("leakage", place, held[0]) for place in trained if held]
            found += [("duplicate", place, trained[0]) for place in trained[1:] if not held]
        return iter(sorted(found, key=lambda each: each[1]))

    def findings(self) -> Iterator[tuple[str, int, str]]:
        for name, place, other in self.pairs():
            held = ", which is held out" if name == "leakage" else ""
            yield name, place, f"the same as row {other + 1:,}{held}"


CHECKS = [
    Check(
        "duplicate",
        "Duplicates",
        "What stands there twice counts twice.",
        "Drop the later ones",
        "dropped as duplicates",
        gather=Copies,
    ),
    Check(
        "leakage",
        "Trained on and measured on",
        "What was learned by heart is measured as if it were understood: the held-out loss is a lie.",
        "Drop them from training",
        "dropped from training because they are held out",
    ),
]
