"""Alpaca rows to measure with: as long as those of alpaca_en_demo (LLaMA-Factory's thousand rows of Alpaca-GPT4), with other words.

The lengths are drawn from that file's percentiles; as there, two fifths have an input, half of the rows have digits, a quarter of
the answers are numbered lists, a ninth of the rows leave ASCII, a few have @, <, [, { or backticks. A row has about 840 bytes.
"""

import json
import random
from pathlib import Path

PERCENTILES = (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 100)
LENGTHS = {
    "instruction": (16, 34, 38, 44, 47, 51, 56, 60, 66, 73, 88, 100, 134, 459),
    "input": (3, 7, 11, 17, 24, 29, 36, 49, 59, 76, 123, 191, 489, 747),
    "output": (1, 29, 42, 77, 145, 265, 465, 697, 1067, 1388, 1728, 1957, 2417, 2837),
}
"""In characters, of the rows that have such a text."""
WORDS = [
    "the",
    "of",
    "and",
    "a",
    "to",
    "in",
    "is",
    "that",
    "for",
    "it",
    "as",
    "with",
    "on",
    "by",
    "this",
    "are",
    "be",
    "or",
    "an",
    "from",
    "which",
    "can",
    "at",
    "have",
    "they",
    "their",
    "more",
    "was",
    "also",
    "such",
    "other",
    "these",
    "has",
    "not",
    "may",
    "into",
    "one",
    "its",
    "between",
    "use",
    "been",
    "time",
    "people",
    "different",
    "system",
    "water",
    "energy",
    "language",
    "important",
    "process",
    "example",
    "include",
    "used",
    "most",
    "first",
    "many",
    "some",
    "information",
    "data",
    "through",
    "world",
    "provide",
    "help",
    "each",
    "new",
    "large",
    "often",
    "could",
    "health",
    "change",
    "make",
    "create",
    "number",
    "small",
    "need",
    "type",
    "within",
    "level",
    "learning",
    "development",
    "environment",
    "computer",
    "experience",
    "public",
    "natural",
    "source",
    "human",
    "power",
    "history",
    "research",
    "technology",
    "particular",
    "quickly",
    "harbour",
    "kettle",
    "green",
    "letter",
    "river",
    "wrote",
    "under",
]
RARE = ("[", "]", "<b>", "`x`", "{", "someone at home (see above)", "http://example.org/a?b=c", "@")
BEYOND = ("café", "“quoted”", "it’s", "–", "°C", "naïve")


class Rows:
    """Draws rows, the same ones for the same seed."""

    def __init__(self, seed: int = 0):
        self.draw = random.Random(seed)

    def length(self, part: str) -> int:
        at = self.draw.uniform(0, 100)
        upper = next(place for place, percent in enumerate(PERCENTILES) if percent >= at and place)
        low, high = PERCENTILES[upper - 1 : upper + 1]
        shortest, longest = LENGTHS[part][upper - 1 : upper + 1]
        return round(shortest + (longest - shortest) * (at - low) / (high - low))

    def prose(self, length: int, beyond: bool = False, listed: bool = False) -> str:
        draw, parts, size = self.draw, [], 0
        while size < length:
            words = draw.choices(WORDS, k=draw.randint(8, 18))
            if draw.random() < 0.05:
                words.insert(3, draw.choice(("12", "1990", "3.5", "2,000", '"green"')))
            if draw.random() < 0.01:
                words.insert(4, draw.choice(RARE))
            if beyond and not parts:
                words.insert(2, draw.choice(BEYOND))
            start = f"{len(parts) + 1}. " if listed else ""
            parts.append(f"{start}{' '.join(words).capitalize()}.")
            size += len(parts[-1]) + 1
        text = ("\n" if listed else " ").join(parts)
        return text[: length - 1] + "." if length > 1 else text[:1]

    def row(self) -> dict[str, str]:
        draw = self.draw
        beyond, listed = draw.random() < 0.11, draw.random() < 0.25
        wanted = self.prose(self.length("instruction"))
        given = self.prose(self.length("input")) if draw.random() < 0.41 else ""
        return {"instruction": wanted, "input": given, "output": self.prose(self.length("output"), beyond, listed)}


def write_rows(path: Path, rows: int) -> None:
    """So many of them as JSON Lines, written as most programs write it: every letter beyond ASCII as itself."""
    drawn = Rows()
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(rows):
            file.write(json.dumps(drawn.row(), ensure_ascii=False) + "\n")
