"""Recipes: starting points for the Train page, each a few values in place of the defaults."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    title: str
    detail: str
    method: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Two lines, as the cards show it."""
        return f"{self.title}\n{self.detail}"


RECIPES = [
    Recipe(
        "Quick look",
        "Rank 8, at most 40 steps. Does the data teach what I mean?",
        {"rank": 8, "alpha": 16},
        {"max_steps": 40},
    ),
    Recipe("Balanced", "Rank 16, all linear layers, as many passes as the data needs."),
    Recipe(
        "Thorough",
        "Rank 32, up to 8 passes. Ends by itself when it no longer helps.",
        {"rank": 32, "alpha": 64},
        {"epochs": 8, "early_stopping": 3},
    ),
]
BALANCED = RECIPES[1]
