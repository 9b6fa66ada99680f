"""Telephone numbers in a text: personal data that a model may repeat to anybody."""

import re

from studio.row_checks.check import Check, Said, several

NUMBER = re.compile(
    r"(?<![\w+])\+[1-9](?:[ ()./-]{0,2}\d){8,13}(?![\w])"  # with the country's code
    r"|(?<![\w.$-])(?:\(\d{3}\) ?|\d{3}[-. ])(?!555[-. ]01)\d{3}[-. ]\d{4}(?![\w-]|\.\d)"  # (202) 333-0199
    r"|(?<![\w.$-])0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,5}(?![\w-]|\.\d)"  # 030 1234567
)
LIKELY = re.compile(r"[+(0-9][0-9 ().\-/]{7,}[0-9]")  # quick: most rows with digits have nothing like it
FEWEST = 9  # digits
INSTEAD = "555-0100"  # kept for fiction


def look(said: Said) -> str | None:
    if said.marks.count(b"0") < FEWEST or not LIKELY.search(said.text):
        return None
    found = NUMBER.findall(said.text)
    return several(found) if found else None


def mend(text: str) -> str:
    while NUMBER.search(text):
        text = NUMBER.sub(INSTEAD, text)
    return text


CHECKS = [
    Check(
        "phone",
        "Telephone numbers",
        "They are personal data, and a trained model may tell them to anybody.",
        f"Write {INSTEAD} in their place",
        "with telephone numbers replaced",
        look=look,
        needs=b"0",
        mend=mend,
    )
]
