"""E-mail addresses in a text: personal data that a model may repeat to anybody."""

import re

from studio.row_checks.check import Check, Said, several

ADDRESS = re.compile(
    r"(?<![\w.+%-])[A-Za-z0-9][\w.+%-]{0,63}@(?!example\.(?:com|org|net)\b)(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}(?![\w@-])"
)
INSTEAD = "someone@example.com"  # a domain that is kept for examples (RFC 2606)


def look(said: Said) -> str | None:
    found = ADDRESS.findall(said.text)
    return several(found) if found else None


def mend(text: str) -> str:
    return ADDRESS.sub(INSTEAD, text) if "@" in text else text


CHECKS = [
    Check(
        "email",
        "E-mail addresses",
        "They are personal data, and a trained model may tell them to anybody.",
        f"Write {INSTEAD} in their place",
        "with e-mail addresses replaced",
        look=look,
        needs=b"@",
        mend=mend,
    )
]
