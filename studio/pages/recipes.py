"""Recipes: starting points for the Train page, each a few values in place of the defaults."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    title: str
    detail: str
    methods: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By the method's name; a method that is left out keeps its defaults."""
    training: dict[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Two lines, as the cards show it."""
        return f"{self.title}\n{self.detail}"


SMALLER = {
    "lora": {"rank": 8, "alpha": 16},
    "adalora": {"rank": 4, "start_rank": 6, "alpha": 12},
    "vera": {"rank": 128},
    "oft": {"block_size": 16},
    "prefix_tuning": {"virtual_tokens": 10},
    "prompt_tuning": {"virtual_tokens": 10},
    "p_tuning": {"virtual_tokens": 10},
}
LARGER = {
    "lora": {"rank": 32, "alpha": 64},
    "adalora": {"rank": 16, "start_rank": 24, "alpha": 48},
    "vera": {"rank": 512},
    "oft": {"block_size": 64},
    "prefix_tuning": {"virtual_tokens": 40},
    "prompt_tuning": {"virtual_tokens": 40},
    "p_tuning": {"virtual_tokens": 40},
}
RECIPES = [
    Recipe(
        "Quick look", "A small adapter, at most 40 steps. Does the data teach what I mean?", SMALLER, {"max_steps": 40}
    ),
    Recipe("Balanced", "An adapter of the usual size, and as many passes as the data needs."),
    Recipe(
        "Thorough",
        "A larger adapter, up to 8 passes. Ends by itself when it no longer helps.",
        LARGER,
        {"epochs": 8, "early_stopping": 3},
    ),
]
BALANCED = RECIPES[1]
