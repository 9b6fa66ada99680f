"""Marks of chat templates that were left in a text: an export that was templated once already."""

from studio.formats.conversation import CONTROL
from studio.row_checks.check import Check, Said, several


def look(said: Said) -> str | None:
    found = CONTROL.findall(said.text)
    return several(found) if found else None


def mend(text: str) -> str:
    """Without the marks; taking one out may put another together, so until there is none."""
    while CONTROL.search(text):
        text = CONTROL.sub("", text).strip()
    return text


CHECKS = [
    Check(
        "control",
        "Marks of chat templates in the text",
        "The model learns to write them as letters, and its answers end badly or not at all.",
        "Take them out",
        "without marks of chat templates",
        look=look,
        needs=b"<[",
        mend=mend,
    )
]
