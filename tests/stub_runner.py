"""The real runner as a process of its own, with the stub in the trainer's place, a short patience, and as many slots as a test wants."""

import json
import os
import sys
import time
from collections.abc import Sequence

from jobs import runner
from jobs.gpus import FoundDevice
from jobs.launchers.launcher import Command, environment, python
from studio.files import read_json
from studio.folders import AttemptFolder


def command(attempt: AttemptFolder, devices: Sequence[FoundDevice], threads: int) -> Command:
    does = json.loads(read_json(attempt.run.plan)["notes"] or "{}")
    while does.get("holds the runner") and not (attempt.run.path / "go").exists():
        time.sleep(0.02)  # a runner that is killed now has claimed this run, and has not looked at the one before it
    return Command(
        python("-m", "tests.stub_worker", str(attempt.path)), environment(attempt, devices, threads), launcher=False
    )


if __name__ == "__main__":
    if slots := int(os.environ.get("SLOTS", "0")):
        runner.find_devices = lambda wanted: [FoundDevice(f"slot:{n}", f"Slot {n}", 2**30) for n in range(slots)]
    sys.exit(runner.main(sys.argv[1:], command, grace=float(os.environ.get("GRACE", "2"))))
