"""One thing's folder, and the ids that name it."""

import secrets
from pathlib import Path

ID_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # no letters that are mistaken for each other


def new_id() -> str:
    """A random id (59 bits): opaque, safe as a folder's name and in an address."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(12))


class Folder:
    """One thing's folder. Files are named here and nowhere else."""

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def create(self):
        self.path.mkdir(parents=True, exist_ok=True)
        return self
