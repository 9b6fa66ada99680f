"""Characters that nobody sees: control characters, terminal colours, marks that turn the direction of text or have no width."""

import re

from studio.row_checks.check import NOTEWORTHY, Check, Said, several

# Not the joiners U+200C and U+200D: Persian and many emoji are written with them.
# One class of characters first, and not one of two patterns: so a text without any is passed over three times as fast.
UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\u202a-\u202e\u2066-\u2069\ufeff](?:(?<=\x1b)\\[[0-9;]{0,20}[A-Za-z])?"
)
CONTROLS = bytes(byte for byte in NOTEWORTHY if byte < 32 or byte == 127)


def look(said: Said) -> str | None:
    found = UNSEEN.findall(said.text)
    return several([_named(each) for each in found]) if found else None


def _named(found: str) -> str:
    return "a colour of the terminal" if len(found) > 1 else f"U+{ord(found):04X}"


def mend(text: str) -> str:
    while UNSEEN.search(text):  # what stood around one may be another
        text = UNSEEN.sub("", text)
    return text


CHECKS = [
    Check(
        "invisible",
        "Invisible characters",
        "They cost tokens, and the model learns to write what nobody can see.",
        "Take them out",
        "without invisible characters",
        look=look,
        needs=CONTROLS,
        beyond_ascii=True,
        mend=mend,
    )
]
