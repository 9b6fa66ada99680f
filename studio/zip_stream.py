"""Folders as zips that are made while they are sent: nothing is written to the disk, and the same files give the same bytes."""

import re
import unicodedata
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

CHUNK_BYTES = 2**20


class _Outbox:
    """Takes what zipfile writes until it is sent."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        sent, self.waiting = b"".join(self.waiting), []
        return sent


def folder_name(name: str, otherwise: str, id: str) -> str:
    """A name that every system takes: letters, digits and hyphens of the thing's name, and its id, which makes it the only one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return f"{re.sub(r'[^a-z0-9]+', '-', plain).strip('-')[:60].strip('-') or otherwise}-{id}"


def zipped(top: str, folder: Path, instead: Mapping[str, bytes] = MappingProxyType({})) -> Iterator[bytes]:
    """The plain files of `folder` in one folder `top`, with the contents of `instead` for files of these names.

    Not compressed: weights hardly become smaller, and the download would wait for it.
    """
    paths = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    outbox = _Outbox()
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            entry = zipfile.ZipInfo(f"{top}/{path.name}")  # dated 1980, so that the same files are the same zip
            entry.external_attr = 0o644 << 16
            if path.name in instead:
                archive.writestr(entry, instead[path.name])
                continue
            entry.file_size = path.stat().st_size
            with archive.open(entry, "w") as target, open(path, "rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    yield outbox.take()
            yield outbox.take()
    yield outbox.take()
