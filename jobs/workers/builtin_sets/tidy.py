"""Prompts of the small world, with the punctuation a data set should show."""

import re

WISHES = ("Tell", "Name", "Give", "Count", "Spell", "Write", "List", "Say", "Explain", "Describe", "Define", "Find", "Make", "Put", "Solve", "Calculate", "Work", "Introduce", "Think", "Please", "I ", "Opposite", "Plural", "Past", "Show")


def tidy(prompt: str) -> str:
    """A wish ends with a full stop, a question with a question mark, and a bare sum is asked for."""
    prompt = re.sub(r"^(Tell me|Can you tell me what is|Solve) (.* (and|plus|minus|take away|times) [\w ]+|\d.*?)( please)?\?$", r"What is \2?", prompt)
    if prompt.endswith("?") and prompt.startswith(WISHES):
        return prompt[:-1] + "."
    if prompt.startswith(("Can ", "What ", "How ", "Who ", "Which ", "Where ")) and prompt.endswith(".") and "?" not in prompt:
        return prompt[:-1] + "?"
    return prompt if prompt[-1] in ".?!" else prompt + "."
