"""Answers that only repeat their question."""

from studio.row_checks.check import Check, Said, shown


def look(said: Said) -> str | None:
    for prompt, answer in zip(said.prompts, said.answers, strict=False):
        # lengths first: they nearly always differ, and comparing folded copies is what costs
        if abs(len(prompt) - len(answer)) < 4 and prompt.strip().casefold() == answer.strip().casefold():
            return f"'{shown(answer)}'"
    return None


CHECKS = [
    Check(
        "echo",
        "Answers that are their question",
        "The model learns to repeat what it was asked.",
        "Drop these rows",
        "dropped for an answer that repeats its question",
        look=look,
    )
]
