"""Which code made something: the studio's version, and a fingerprint of the code itself, which changes when a line does."""

import functools
import hashlib
from pathlib import Path

import studio

PROJECT = Path(__file__).parent.parent


@functools.cache
def code_version() -> dict[str, str]:
    digest = hashlib.sha256()
    for folder in ("jobs", "studio"):
        for path in sorted((PROJECT / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(PROJECT).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return {"lora-studio": studio.__version__, "code": digest.hexdigest()[:16]}
