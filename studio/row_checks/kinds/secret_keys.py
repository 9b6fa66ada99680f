"""Keys and passwords of services in a text: whoever asks the model may be told them."""

import re

from studio.row_checks.check import Check, Said

# By the beginnings that services give their keys. (beginning, the whole key)
KEYS = [
    (beginning, re.compile(pattern))
    for beginning, pattern in (
        ("sk-", r"\bsk-(?:[a-z]{2,10}-)?[A-Za-z0-9_-]{20,200}"),
        ("AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
        ("ghp_", r"\bghp_[A-Za-z0-9]{36,}\b"),
        ("gho_", r"\bgho_[A-Za-z0-9]{36,}\b"),
        ("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{40,}"),
        ("glpat-", r"\bglpat-[A-Za-z0-9_-]{20,}"),
        ("xox", r"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
        ("AIza", r"\bAIza[0-9A-Za-z_-]{35}"),
        ("hf_", r"\bhf_[A-Za-z0-9]{30,}\b"),
        ("eyJ", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        ("PRIVATE KEY", r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z)"),
    )
]
INSTEAD = "REMOVED-KEY"
FEWEST = 3  # digits: no key has fewer


def look(said: Said) -> str | None:
    text = said.text
    if said.marks.count(b"0") < FEWEST:
        return None
    found = [pattern.search(text) for beginning, pattern in KEYS if beginning in text]
    named = [f"{match[0][:8]}…" for match in found if match]  # never the whole of it: findings are kept and shown
    return ", ".join(named) if named else None


def mend(text: str) -> str:
    for beginning, pattern in KEYS:
        if beginning in text:
            text = pattern.sub(INSTEAD, text)
    return text


CHECKS = [
    Check(
        "key",
        "Keys and passwords",
        "Whoever asks the trained model may be told them.",
        f"Write {INSTEAD} in their place",
        "with keys taken out",
        look=look,
        needs=b"0",
        mend=mend,
    )
]
