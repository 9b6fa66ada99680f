"""What a launcher is: it knows the command that starts the workers of one attempt on the devices it was given."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobs.gpus import FoundDevice
from jobs.processes import ATTEMPT_MARK
from studio.child_environment import child_environment
from studio.folders import AttemptFolder

WORKER = "jobs.workers.train"


@dataclass(frozen=True)
class Command:
    argv: list[str]
    environment: dict[str, str]
    launcher: bool
    """True when `argv` only starts the workers and waits for them: signals then go to its children."""
    warm: bool = False
    """True when the warm parent may fork the worker instead (jobs/warm.py): one process."""


Launcher = Callable[[AttemptFolder, Sequence[FoundDevice], int], Command]
"""launcher(attempt, devices, threads): the command for this attempt; `threads` is how many CPU threads each worker may use."""


def environment(attempt: AttemptFolder, devices: Sequence[FoundDevice], threads: int) -> dict[str, str]:
    """The worker's whole environment: marked as this attempt's, seeing only its own devices."""
    on_gpu = any(device.kind == "cuda" for device in devices)
    return child_environment(
        threads,
        {
            "HF_HOME": str(attempt.path / "cache"),  # keeps a person's own accelerate configuration out
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": ",".join(device.visible for device in devices) if on_gpu else "",
            ATTEMPT_MARK: str(attempt.path.resolve()),
        },
    )


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
