"""The real runner as a process of its own, with the stub in the trainer's place and a short patience."""

import os
import sys
from collections.abc import Sequence

from jobs import runner
from jobs.gpus import FoundDevice
from jobs.launchers.launcher import Command, environment, python
from studio.folders import AttemptFolder


def command(attempt: AttemptFolder, devices: Sequence[FoundDevice], threads: int) -> Command:
    return Command(
        python("-m", "tests.stub_worker", str(attempt.path)), environment(attempt, devices, threads), launcher=False
    )


if __name__ == "__main__":
    sys.exit(runner.main([], command, grace=float(os.environ.get("GRACE", "2"))))
