"""What every worker does that does one job in a folder of its own: hold its lock, say who it is, and leave a result or a refusal."""

import fcntl
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from jobs.processes import Identity
from studio.errors import StudioError, Unavailable
from studio.files import write_json
from studio.folders import JobFolder

REFUSED = 78
PROGRESS_SECONDS = 0.5


def do_job(folder: JobFolder, work: Callable[[], dict[str, Any]], smaller: str) -> int:
    """Do `work` and write what it returns as the result. Returns the exit code. `smaller`: what needs less memory, in words."""
    with open(folder.lock, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # another worker is busy with this job already
        write_json(folder.process, asdict(Identity.of(os.getpid())))
        try:
            result = work()
        except StudioError as error:
            write_json(folder.refusal, error.as_dict())
            return REFUSED
        except MemoryError:
            error = Unavailable("The memory of this machine is not enough for it.", f"Free memory, or {smaller}.")
            write_json(folder.refusal, error.as_dict())
            return REFUSED
        write_json(folder.result, result)
        return 0


def progress_of(folder: JobFolder) -> Callable[..., None]:
    """tell(done, doing, ...) says how far the work is, at most twice a second."""
    last = 0.0

    def tell(done: float, doing: str, **more: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            write_json(folder.progress, {"done": round(done, 4), "doing": doing, **more})

    return tell
