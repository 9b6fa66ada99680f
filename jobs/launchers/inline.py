"""Start the worker itself, with no launcher between: one process, for debugging."""

from collections.abc import Sequence

from jobs.gpus import FoundDevice
from jobs.launchers.launcher import WORKER, Command, environment, python
from studio.folders import AttemptFolder


def command(attempt: AttemptFolder, devices: Sequence[FoundDevice], threads: int) -> Command:
    return Command(python("-m", WORKER, str(attempt.path)), environment(attempt, devices, threads), launcher=False)
