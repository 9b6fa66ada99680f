"""Small files read and written whole: JSON that is never seen half-written, and the hash of any file."""

import contextlib
import hashlib
import json
import secrets
from pathlib import Path
from typing import Any

from studio import storage


def write_json(path: Path, value: Any) -> None:
    """Write the whole file or nothing: a reader never sees half of it. Raises OSError."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """The same for any text."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        storage.write(beside, lambda place: place.write_text(text, encoding="utf-8"))
        storage.rename(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def read_json(path: Path, default: Any = None) -> Any:
    """The file's value, or `default` when there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
