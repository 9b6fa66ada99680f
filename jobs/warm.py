"""The runner's side of the warm parent: start it when there is memory for it, ask it for a worker, do without it whenever it does not answer."""

import json
import logging
import os
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from jobs.launchers.launcher import python
from jobs.processes import Identity
from studio.child_environment import child_environment
from studio.folders import DataFolder

PROJECT = Path(__file__).parents[1]
QUIET_SECONDS = 3.0  # the runner has been up for so long: whoever started it has the processor first
ANSWER_SECONDS = 3.0
ROOM = 6000  # bytes beside its own variables for an attempt's: see processes.show_environment
NEEDED_MEMORY = 3 * 2**30  # free, to start it; it holds about 0.4 GiB
SCARCE_MEMORY = 1 * 2**30  # free: it makes room
log = logging.getLogger("studio.runner")


class Supervisor:
    """The supervisor that the warm parent forked, as `Watch` looks at it."""

    def __init__(self, pid: int):
        self.identity = Identity.of(pid)

    def poll(self) -> int | None:
        """None while it lives; its code is in exit.json."""
        return None if self.identity and self.identity.alive() else 0


class Warm:
    def __init__(
        self,
        data: DataFolder,
        threads: int,
        idle_seconds: float,
        gpu: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ):
        """`threads` of a worker; `gpu`: whether workers use one."""
        self.data, self.threads, self.idle_seconds, self.gpu, self.clock = data, threads, idle_seconds, gpu, clock
        self.process: subprocess.Popen | None = None
        self.ready = False
        self.wanted_at = clock() + QUIET_SECONDS
        self.wanted = True  # False when it ended by itself: until the next run

    def tick(self, busy: bool = False) -> None:
        """Start it, see that it is ready or has ended, or end it for lack of memory. While all devices are `busy` it is not started."""
        free = psutil.virtual_memory().available
        if self.process is None:
            if self.wanted and not busy and self.clock() >= self.wanted_at and free > NEEDED_MEMORY:
                self.start()
        elif self.process.poll() is not None:
            self.drop("It has ended; the next run starts cold.")
            self.wanted = False
        elif free < SCARCE_MEMORY:
            self.drop("It makes room in memory.")
            self.wanted = False
        elif not self.ready and (said := self.read(0.0)):
            self.ready = "ready" in said
            if self.ready:
                log.info("The training's libraries are loaded: runs start at once.")
            else:
                self.drop(f"It cannot be used: {said.get('problem')}.")
                self.wanted = False

    def start(self) -> None:
        options = ["--idle", str(self.idle_seconds), "--models", str(self.data.path / "base_models")]
        options += ["--gpu"] if self.gpu else []
        environment = child_environment(
            self.threads,
            {
                "HF_HOME": str(self.data.path / "cache"),
                "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
                "OPENBLAS_NUM_THREADS": "1",  # numpy's would start its threads when it is imported
                "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # whether there are GPUs is asked without touching CUDA
                "STUDIO_ROOM": " " * ROOM,
            },
        )
        self.ready = False
        try:
            self.process = subprocess.Popen(
                python("-m", "jobs.workers.warm_parent", *options),
                env=environment, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            log.warning("The warm parent cannot be started: %s. Runs start cold.", error)
            self.wanted = False

    def supervise(self, attempt: Path, supervisor: list[str], environment: dict[str, str]) -> Supervisor | None:
        """A supervisor whose worker has its imports done; None when the caller must start one cold."""
        self.wanted, self.wanted_at = True, self.clock() + QUIET_SECONDS
        if self.process is None or not self.ready:
            return None
        asked = {"attempt": str(attempt), "supervisor": supervisor, "environment": environment}
        try:
            os.write(self.process.stdin.fileno(), json.dumps(asked).encode() + b"\n")
            said = self.read(ANSWER_SECONDS) or {"problem": "it does not answer"}
        except (OSError, ValueError) as error:
            said = {"problem": str(error)}
        if "pid" in said:
            return Supervisor(said["pid"])
        self.drop(f"The warm start failed: {said['problem']}. The run starts cold.")
        return None

    def read(self, seconds: float) -> dict | None:
        """Its next answer, if it comes in time. Raises ValueError when it says something else, or has ended."""
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return None
        return json.loads(os.read(self.process.stdout.fileno(), 65536).decode() or "null") or {
            "problem": "it has ended"
        }

    def drop(self, why: str) -> None:
        log.info("Warm parent: %s", why)
        self.close()

    def close(self) -> None:
        """End it. What it has forked does not need it."""
        if self.process is not None:
            self.process.kill()  # it has nothing to put in order
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
        self.process, self.ready = None, False
