"""A person's token for the Hub on its way from the web process to a worker: through a named pipe, never through the disk.

The web process keeps it in memory until the worker opens the pipe. Where that process ends before, the token is gone,
and the worker says so.
"""

import errno
import os
import threading
import time
from pathlib import Path

from studio.errors import Unavailable

LOOK_SECONDS = 0.2
MOST_BYTES = 4096


def leave_place(pipe: Path) -> None:
    os.mkfifo(pipe, 0o600)


def hand_over(pipe: Path, token: str) -> threading.Thread:
    """Give it to whoever opens the pipe first; gives up when the pipe is taken away."""
    thread = threading.Thread(target=_give, args=(pipe, token), daemon=True, name="hub token")
    thread.start()
    return thread


def _give(pipe: Path, token: str) -> None:
    while True:
        try:
            opened = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads yet
                return
            time.sleep(LOOK_SECONDS)
            continue
        try:
            os.write(opened, token.encode())
        finally:
            os.close(opened)
        return


def take(pipe: Path, seconds: float = 20.0) -> str:
    """The token, waited for as long as that. Raises Unavailable when nobody gives it."""
    opened, found, end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), b"", time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            try:
                part = os.read(opened, MOST_BYTES)
            except BlockingIOError:
                part = b""
            found += part
            if found and not part:
                return found.decode()
            time.sleep(LOOK_SECONDS / 4)
    finally:
        os.close(opened)
        pipe.unlink(missing_ok=True)
    raise Unavailable(
        "The token is gone: it is only kept in memory, and the studio was started anew since.",
        "Ask for it again, with the token.",
    )
