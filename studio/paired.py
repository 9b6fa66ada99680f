"""Two models on the same prompts: how sure it is that one passes more of them than the other.

Formulas: McNemar (1947) in its exact form, a two-sided binomial test on the prompts where they differ; Bonett and Price
(2012), "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data".
"""

import math
from dataclasses import dataclass
from typing import Any

from studio.ratings import Z95

SURE = 0.05  # below this chance a difference is called one


@dataclass(frozen=True)
class Paired:
    """How often both passed, only the first, only the second, and neither."""

    both: int = 0
    lost: int = 0
    """Passed by the first, not by the second."""
    gained: int = 0
    neither: int = 0

    @property
    def prompts(self) -> int:
        return self.both + self.lost + self.gained + self.neither

    @property
    def chance(self) -> float:
        """The exact McNemar test: how likely so uneven a split of the prompts in which they differ is, were both as good."""
        differ = self.lost + self.gained
        tail = sum(math.comb(differ, count) for count in range(min(self.lost, self.gained) + 1))
        return min(1.0, 2 * tail / 2**differ)

    @property
    def difference(self) -> float:
        """Share that the second passes, less the share that the first passes."""
        return (self.gained - self.lost) / self.prompts if self.prompts else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Bonett and Price's interval of 95 % for the difference."""
        total = self.prompts + 2
        lost, gained = (self.lost + 1) / total, (self.gained + 1) / total
        half = Z95 * math.sqrt((lost + gained - (gained - lost) ** 2) / total)
        return max(-1.0, gained - lost - half), min(1.0, gained - lost + half)

    @property
    def says(self) -> str:
        """ "better", "worse" or "unclear": only what is hardly chance is called a difference."""
        if self.chance >= SURE or self.gained == self.lost:
            return "unclear"
        return "better" if self.gained > self.lost else "worse"

    def as_dict(self) -> dict[str, Any]:
        low, high = self.interval
        counts = {
            name: getattr(self, name) for name in ("both", "lost", "gained", "neither", "difference", "chance", "says")
        }
        return {**counts, "low": low, "high": high, "test": "McNemar exact"}


def probability(chance: float) -> str:
    """As it is written: "p = 0.03"."""
    return "p < 0.001" if chance < 0.001 else f"p = {chance:.2g}"
