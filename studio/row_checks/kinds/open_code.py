"""Code blocks that are opened and never closed: an answer that was cut off while it wrote code."""

from studio.row_checks.check import Check, Said, shown

FENCE = "```"


def look(said: Said) -> str | None:
    cut = next((answer for answer in said.answers if answer.count(FENCE) % 2), None)
    return None if cut is None else f"opened at '{shown(cut[cut.rindex(FENCE) :], 40)}'"


CHECKS = [
    Check(
        "open_code",
        "Code that is not closed",
        "The answer was probably cut off; the model learns to stop in the middle.",
        "Drop these rows",
        "dropped for code that is not closed",
        look=look,
        needs=b"`",
    )
]
