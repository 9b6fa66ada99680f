"""Keys and passwords of services in a text: whoever asks the model may be told them."""

import re

from studio.row_checks.check import Check, Said

# By the beginnings that services give their keys. (the letter of it that is rarest in prose, beginning, the whole key)
KEYS = [
    (rare, beginning, re.compile(pattern))
    for rare, beginning, pattern in (
        ("-", "sk-", r"\bsk-(?:[a-z]{2,10}-)?[A-Za-z0-9_-]{20,200}"),
        ("K", "AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
        ("_", "ghp_", r"\bghp_[A-Za-z0-9]{36,}\b"),
        ("_", "gho_", r"\bgho_[A-Za-z0-9]{36,}\b"),
        ("_", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{40,}"),
        ("-", "glpat-", r"\bglpat-[A-Za-z0-9_-]{20,}"),
        ("x", "xox", r"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
        ("z", "AIza", r"\bAIza[0-9A-Za-z_-]{35}"),
        ("_", "hf_", r"\bhf_[A-Za-z0-9]{30,}\b"),
        ("J", "eyJ", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        (
            "K",
            "PRIVATE KEY",
            r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,20}PRIVATE KEY-----|\Z)",
        ),
    )
]
INSTEAD = "REMOVED-KEY"
FEWEST = 3  # digits: no key has fewer


def look(said: Said) -> str | None:
    text = said.text
    if said.marks.count(b"0") < FEWEST:
        return None
    # a single letter is looked for ten times as fast as a word
    found = [pattern.search(text) for rare, beginning, pattern in KEYS if rare in text and beginning in text]
    named = [f"{match[0][:8]}…" for match in found if match]  # never the whole of it: findings are kept and shown
    return ", ".join(named) if named else None


def mend(text: str) -> str:
    for _, beginning, pattern in KEYS:
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
