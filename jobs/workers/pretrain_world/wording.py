"""Say one thing in many ways: `{a|b}` picks one of several wordings, `$name` is filled in."""

import random
import re

CHOICE = re.compile(r"\{([^{}]*)\}")
SLOT = re.compile(r"\$(\w+)")

Turns = list[tuple[str, str]]  # (what the person says, what the model answers), in order


# A wording may be a question or a wish, and the full stop of a wish is not a question mark.
WISHES = ("Tell", "Name", "Give", "Count", "Spell", "Write", "List", "Say", "Explain", "Describe", "Define", "Find", "Make", "Put", "Solve", "Calculate", "Work", "Introduce", "Think", "Please", "I ", "Opposite", "Plural", "Past", "Show", "Compare", "Double", "Half", "The ", "Repeat", "Pick", "Choose")


class Voice:
    """A random source that speaks; the same seed says the same things."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.pick = self.rng.choice

    def say(self, pattern: str, **slots) -> str:
        while "{" in pattern:
            pattern = CHOICE.sub(lambda match: self.pick(match[1].split("|")), pattern)
        text = SLOT.sub(lambda match: str(slots[match[1]]), pattern)
        return re.sub(r"  +", " ", text).strip()

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def some(self, words, count: int) -> list:
        return self.rng.sample(list(words), count)

    def entry(self, facts: dict):
        key = self.pick(list(facts))
        return key, facts[key]

    def typed(self, prompt: str) -> str:
        """A prompt as people type it: some skip the capital, the full stop or the manners."""
        if prompt.endswith("?") and prompt.startswith(WISHES):
            prompt = prompt[:-1] + "."
        if self.chance(0.12):
            prompt = prompt[:1].lower() + prompt[1:]
        if self.chance(0.15) and prompt[-1] in ".?!":
            prompt = prompt[:-1]
        if self.chance(0.02):
            prompt = prompt.lower()
        if self.chance(0.02):
            prompt += self.pick([" Thanks.", " Thank you.", " please"])
        return prompt


def a(noun: str) -> str:
    return ("an " if noun[0].lower() in "aeiou" and not noun.startswith("uni") else "a ") + noun


def the(noun: str) -> str:
    return "the " + noun


def upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]


def joined(words: list[str]) -> str:
    """one, two and three"""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]
