"""Start the workers on this machine with `accelerate launch`: one process on the CPU, one per GPU otherwise."""

import socket
from collections.abc import Sequence

from jobs.gpus import FoundDevice
from jobs.launchers.launcher import WORKER, Command, environment, python
from studio.folders import AttemptFolder


def command(attempt: AttemptFolder, devices: Sequence[FoundDevice], threads: int) -> Command:
    """Every choice is named, so that accelerate asks nothing, warns of nothing and reads no configuration of the person's."""
    gpus = [device for device in devices if device.kind == "cuda"]
    argv = python("-m", "accelerate.commands.launch", "--num_machines", "1", "--num_processes", str(max(1, len(gpus))))
    argv += [
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--num_cpu_threads_per_process",
        str(threads),
    ]  # the worker chooses its own precision
    if not gpus:
        argv += ["--cpu", "--quiet"]
    elif len(gpus) == 1:
        argv += ["--quiet"]
    else:
        argv += ["--multi_gpu", "--main_process_port", str(free_port())]
    return Command(
        [*argv, "-m", WORKER, str(attempt.path)],
        environment(attempt, devices, threads),
        launcher=True,
        warm=len(gpus) < 2,
    )


def free_port() -> int:
    """For the workers to meet at: two runs on one machine must not share one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
