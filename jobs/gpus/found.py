"""The devices that runs may use: the GPUs that there are and that are left to us, otherwise the CPU as one slot."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.gpus.readings import Gpu, read_gpus
from studio.devices import cpu
from studio.errors import Unavailable


@dataclass(frozen=True)
class FoundDevice:
    id: str  # "cpu", "cuda:0"; a slice of a card "cuda:0.1"
    name: str
    memory_bytes: int
    visible: str = ""  # what names it in CUDA_VISIBLE_DEVICES

    @property
    def kind(self) -> str:
        return self.id.partition(":")[0]


def find_devices(wanted: str = "auto") -> list[FoundDevice]:
    """The devices that runs may use. Raises Unavailable when GPUs are wanted ("cuda") and there are none."""
    gpus = [] if wanted == "cpu" else visible(read_gpus(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    if gpus:
        return gpus
    if wanted == "cuda":
        raise Unavailable(
            "No NVIDIA GPU is found on this machine.",
            "Start the studio with --device auto or cpu, or look at what nvidia-smi says.",
        )
    return [FoundDevice("cpu", cpu_name(), cpu(name="").memory_bytes)]


def visible(gpus: Sequence[Gpu], chosen: str | None) -> list[FoundDevice]:
    """Those that CUDA_VISIBLE_DEVICES leaves: numbers or (beginnings of) uuids; like CUDA, it stops at the first unknown one."""
    found = [FoundDevice(f"cuda:{gpu.number}", gpu.name[:100], gpu.memory_bytes, gpu.uuid) for gpu in gpus]
    if chosen is None:
        return found
    kept: list[FoundDevice] = []
    for token in (part.strip() for part in chosen.split(",")):
        named = [gpu for gpu in found if _is_meant(token, gpu)]
        if len(named) != 1 or named[0] in kept:
            break
        kept += named
    return kept


def _is_meant(token: str, gpu: FoundDevice) -> bool:
    return gpu.id == f"cuda:{token}" or (token.startswith(("GPU-", "MIG-")) and gpu.visible.startswith(token))


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names[0] if names else platform.processor() or platform.machine() or "CPU")[:100]


def threads_per_run(setting: int, slots: int) -> int:
    """CPU threads for one training: as set, as OMP_NUM_THREADS says, or an equal share of the cores."""
    inherited = os.environ.get("OMP_NUM_THREADS", "")
    if setting:
        return setting
    if inherited.isdigit() and int(inherited):
        return int(inherited)
    return max(1, len(os.sched_getaffinity(0)) // max(1, slots))
