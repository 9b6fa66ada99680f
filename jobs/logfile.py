"""What a worker says, kept in log.txt up to a limit: its beginning as it comes, and its very end, which holds the error."""

import contextlib
import os
import threading
from pathlib import Path

KEPT_BYTES = 16 * 2**20
END_BYTES = 256 * 2**10


class LogFile:
    """`pipe` is what the worker writes to; a thread carries it into the file. The file only ever grows, so readers can go on from an offset.

    `ends`: a pipe that is there already, as (what is read, what is written)."""

    def __init__(self, path: Path, kept: int = KEPT_BYTES, end: int = END_BYTES, ends: tuple[int, int] | None = None):
        self.path, self.kept, self.end_bytes = path, kept, end
        self.source, self.pipe = ends or (-1, -1)
        self.end = b""
        self.left_out = 0

    def __enter__(self) -> "LogFile":
        self.file = open(self.path, "ab", buffering=0)  # noqa: SIM115 - closed in __exit__
        if self.source < 0:
            self.source, self.pipe = os.pipe()
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()
        return self

    def close_pipe(self) -> None:
        """The worker has its own copy now; when it and all its children end, so does the log."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

    def __exit__(self, *_) -> None:
        self.close_pipe()
        self.thread.join(5)
        with contextlib.suppress(OSError):  # the disk is full: how the worker ended must be written all the same
            if self.left_out:
                self.file.write(f"\n... {self.left_out:,} bytes of the log are left out here ...\n".encode())
            self.file.write(self.end)
        self.file.close()

    def write(self, text: str) -> None:
        os.write(self.pipe, text.encode())

    def _carry(self) -> None:
        while chunk := os.read(self.source, 65536):
            try:
                self._keep(chunk)
            except OSError:
                continue  # the disk is full: the worker must not hang on its log

    def _keep(self, chunk: bytes) -> None:
        room = max(0, self.kept - self.file.tell())
        if room:
            self.file.write(chunk[:room])
        self.end += chunk[room:]
        over = len(self.end) - self.end_bytes
        if over > 0:
            self.end, self.left_out = self.end[over:], self.left_out + over
