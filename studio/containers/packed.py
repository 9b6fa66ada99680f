"""Compressed files: gzip, bzip2, xz and Zstandard are read as the file inside, without unpacking them onto the disk."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TextIO

from studio.errors import BadInput, clip

BLOCK = 1 << 20


def _zstandard(path: Path) -> IO[bytes]:
    import pyarrow

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    return io.BufferedReader(_Readable(pyarrow.CompressedInputStream(str(path), "zstd")))


class _Readable(io.RawIOBase):
    """Arrow's stream as one of Python's."""

    def __init__(self, stream):
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._stream.close()
        super().close()


# (first bytes, its name, how it is opened)
PACKED: list[tuple[bytes, str, Callable[[Path], IO[bytes]]]] = [
    (b"\x1f\x8b", "gzip", gzip.open),
    (b"BZh", "bzip2", bz2.open),
    (b"\xfd7zXZ\x00", "xz", lzma.open),
    (b"\x28\xb5\x2f\xfd", "Zstandard", _zstandard),
]
DAMAGED = (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)


def packed_as(path: Path) -> str | None:
    """The name of the compression that a file begins with."""
    with open(path, "rb") as file:
        head = file.read(6)
    return next((name for magic, name, _ in PACKED if head.startswith(magic)), None)


def open_bytes(path: Path) -> IO[bytes]:
    """The file, or what is packed in it."""
    name = packed_as(path)
    return next((opened(path) for _, called, opened in PACKED if called == name), None) or open(path, "rb")


def open_text(path: Path, encoding: str, newline: str | None = None) -> TextIO:
    return io.TextIOWrapper(open_bytes(path), encoding=encoding, newline=newline)


def check_unpacks(path: Path, text_limit: int) -> str | None:
    """The name of the compression, None without one. Raises BadInput for a damaged one, and for more inside than may be taken in.

    All of it is unpacked once here, so that what is wrong is told before a row is read.
    """
    name = packed_as(path)
    if name is None:
        return None
    size = 0
    try:
        with open_bytes(path) as file:
            while block := file.read(BLOCK):
                size += len(block)
                if size > text_limit:
                    raise BadInput(
                        f"The file is compressed with {name} and unpacks to more than {text_limit >> 20:,} MB, the limit.",
                        "Split it into several files.",
                    )
    except DAMAGED as error:
        raise BadInput(
            f"The file is compressed with {name} and damaged after {size:,} bytes of what is inside: "
            f"{clip(error, 120) or 'it ends too early'}.",
            "It was probably cut off while it was copied; bring the whole file.",
        ) from None
    if size == 0:
        raise BadInput(
            f"The file is compressed with {name}, and there is nothing inside.", "Bring the file with the data."
        )
    return name
