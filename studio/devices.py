"""The device that a run will get, as the plan needs to know it: memory, free memory, and which arithmetic it does natively."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from sqlalchemy import select

from studio.records import Device
from studio.studio import Studio

BF16_FLAGS = {"avx512_bf16", "amx_bf16"}  # x86 processors without them take 8 to 27 times as long in bf16 as in fp32
OLDEST_BF16 = (8, 0)  # compute capability of the first NVIDIA GPUs with bf16 (Ampere)


@dataclass(frozen=True)
class DeviceFacts:
    kind: Literal["cpu", "cuda"]
    name: str
    memory_bytes: int
    free_bytes: int  # now
    bf16: bool  # has it natively
    slots: int = 1  # how many such devices there are

    @property
    def usable_bytes(self) -> int:
        """What a run may count on when its turn comes. A GPU is then its own; a CPU's memory is shared with other programs."""
        return int(0.95 * self.memory_bytes) if self.kind == "cuda" else max(self.free_bytes, self.memory_bytes // 2)


def planned_device(studio: Studio) -> DeviceFacts:
    """The first device that the runner has seen; this machine's CPU while none was."""
    with studio.database.read() as session:
        rows = list(session.scalars(select(Device).order_by(Device.id)))
    gpus = [row for row in rows if row.id.startswith("cuda") and "#" not in row.id]  # not the further slots of one
    if gpus and studio.settings.device != "cpu":
        return gpu(number_of(gpus[0].id), gpus[0].name, gpus[0].memory_bytes, len(gpus))
    return cpu(rows[0].name if rows else "CPU")


def number_of(id: str) -> int:
    """Of the card: 1 for "cuda:1", and for a slice of it, "cuda:1.3"."""
    return int(id.partition(":")[2].partition(".")[0] or 0)


def cpu(name: str) -> DeviceFacts:
    memory = psutil.virtual_memory()
    total, free = memory.total, memory.available
    limit, used = cgroup_bytes("memory.max"), cgroup_bytes("memory.current")
    if limit is not None and limit < total:  # a container allows less than the machine has
        total, free = limit, min(free, max(0, limit - (used or 0)))
    return DeviceFacts("cpu", name, total, free, bf16=bool(BF16_FLAGS & cpu_flags()))


def cgroup_bytes(name: str) -> int | None:
    try:
        return int(Path("/sys/fs/cgroup", name).read_text())
    except (OSError, ValueError):
        return None  # no control groups, or the word "max"


def cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def gpu(index: int, name: str, memory_bytes: int, slots: int) -> DeviceFacts:
    """What NVML says of it; where that cannot be asked, all of its memory and bf16 are assumed and the worker finds out."""
    free, capability = memory_bytes, OLDEST_BF16
    with contextlib.suppress(Exception):  # no driver on this side, or one that does not answer
        import pynvml  # here: most machines have no use for it

        pynvml.nvmlInit()
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            free = pynvml.nvmlDeviceGetMemoryInfo(handle).free
            capability = tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle))
        finally:
            pynvml.nvmlShutdown()
    return DeviceFacts("cuda", name, memory_bytes, free, bf16=capability >= OLDEST_BF16, slots=slots)
