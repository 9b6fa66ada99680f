"""Answers that are there and say nothing: n/a, null, a dash, three dots."""

from studio.row_checks.check import Check, Said

NOTHING = frozenset(
    {"n/a", "na", "nan", "null", "none", "nil", "undefined", "todo", "tbd", "<noinput>", "<empty>", "noinput"}
)
LONG = 12


def look(said: Said) -> str | None:
    for answer in said.answers:
        if len(answer) <= LONG and is_hollow(answer):
            return f"'{answer.strip()}'"
    return None


def is_hollow(answer: str) -> bool:
    words = answer.strip().strip(".!").lower()
    return words in NOTHING or (not words.isalnum() and all(letter in "-–—._*?!#/ " for letter in words))


CHECKS = [
    Check(
        "hollow",
        "Answers that say nothing",
        "The model learns that no answer is an answer.",
        "Drop these rows",
        "dropped for an answer that says nothing",
        look=look,
    )
]
