"""Wake the runner, so that what a person wants is looked at now and not at its next look; without it, it comes a moment later."""

import contextlib
import os

from studio.folders import DataFolder


def wake_up_call(data: DataFolder) -> int:
    """The runner's end: a descriptor that becomes readable when somebody calls."""
    with contextlib.suppress(FileExistsError):
        os.mkfifo(data.runner_call, 0o600)
    return os.open(data.runner_call, os.O_RDWR | os.O_NONBLOCK)  # written to as well, so that it never reads an end


def wake_runner(data: DataFolder) -> None:
    with contextlib.suppress(OSError):  # no runner is there, or it has many calls waiting
        call = os.open(data.runner_call, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(call, b"!")
        finally:
            os.close(call)
