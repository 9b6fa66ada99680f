"""One job on finished adapters: `python -m jobs.workers.lab <job folder>`.

The folder holds request.json and parents/<id>/ (AdapterJobFolder). Left in it: adapter/ (of a merge: the new base
model's folder) and result.json, or refusal.json with what is wrong. Only what needs torch loads it.
"""

import fcntl
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict

from jobs.processes import Identity
from jobs.workers.lab_adapter import write_adapter
from jobs.workers.shrink import shrink
from jobs.workers.stack import stack
from studio.errors import Conflict, StudioError, Unavailable
from studio.files import read_json, write_json
from studio.folders import AdapterJobFolder

REFUSED = 78
ADAPTERS = {"stack": stack, "shrink": shrink}
PROGRESS_SECONDS = 0.5


def main(folder: AdapterJobFolder) -> int:
    with open(folder.lock, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # another worker is busy with this job already
        write_json(folder.process, asdict(Identity.of(os.getpid())))
        try:
            result = work(folder)
        except StudioError as error:
            write_json(folder.refusal, error.as_dict())
            return REFUSED
        except MemoryError:
            error = Unavailable(
                "The memory of this machine is not enough for it.",
                "Free memory, or choose the exact sum, which needs least.",
            )
            write_json(folder.refusal, error.as_dict())
            return REFUSED
        write_json(folder.result, result)
        return 0


def work(folder: AdapterJobFolder) -> dict:
    """Make the adapter or the model; what was measured on the way."""
    request, tell = read_json(folder.request), progress_of(folder)
    if not folder.data.base_model(request["base_model"]["id"]).facts.is_file():
        raise Conflict("The base model was removed before this job began.", "Add it again.")
    kind = request["settings"]["kind"]
    if kind == "merge":
        from jobs.workers.merge_job import merge  # here: it loads torch

        return merge(folder, request, tell)
    made = ADAPTERS[kind](folder, request, tell)
    write_adapter(folder, request, made)
    return made.measured


def progress_of(folder: AdapterJobFolder) -> Callable[[float, str], None]:
    """Tells how far the work is, at most twice a second."""
    last = 0.0

    def tell(done: float, doing: str) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            write_json(folder.progress, {"done": round(done, 4), "doing": doing})

    return tell


if __name__ == "__main__":
    sys.exit(main(AdapterJobFolder(sys.argv[1])))
