"""Placeholders that were never filled in: {{name}}, <your name>, [INSERT DATE]."""

import re

from studio.formats.conversation import PLACEHOLDER
from studio.row_checks.check import Check, Said, several

ANGLE = re.compile(r"<(?:your|insert|enter|add) [^<>\n]{1,40}>", re.IGNORECASE)
SQUARE = re.compile(
    r"(?<!\w)\[(?:(?:your|insert|enter|add) [^\[\]\n]{1,40}"
    r"|(?:(?:First|Last|Full|Company|Customer|Client|Recipient|Sender|Street|Phone) )?(?:Name|Date|Address|Company|City|Number|Email)"
    r"|NAME|DATE|ADDRESS|COMPANY|CITY|EMAIL)\](?!\()",
    re.IGNORECASE,
)
BY_MARK = ((b"{", PLACEHOLDER), (b"<", ANGLE), (b"[", SQUARE))


def look(said: Said) -> str | None:
    marks = said.marks
    found = [name for mark, pattern in BY_MARK if mark in marks for name in pattern.findall(said.text)]
    return several(found) if found else None


CHECKS = [
    Check(
        "placeholder",
        "Placeholders that were not filled in",
        "The model learns to say the placeholder.",
        "Drop these rows",
        "dropped for a placeholder",
        look=look,
        needs=b"{<[",
    )
]
