"""Which devices this machine has, found without torch: GPUs by NVML or nvidia-smi, otherwise the CPU as one slot."""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from studio.devices import cpu
from studio.errors import Unavailable


@dataclass(frozen=True)
class FoundDevice:
    id: str  # "cpu", "cuda:0"
    name: str
    memory_bytes: int
    visible: str = ""  # what names it in CUDA_VISIBLE_DEVICES

    @property
    def kind(self) -> str:
        return self.id.partition(":")[0]


def find_devices(wanted: str = "auto") -> list[FoundDevice]:
    """The devices that runs may use. Raises Unavailable when GPUs are wanted ("cuda") and there are none."""
    gpus = (
        []
        if wanted == "cpu"
        else visible(gpus_by_nvml() or gpus_by_nvidia_smi(), os.environ.get("CUDA_VISIBLE_DEVICES"))
    )
    if gpus:
        return gpus
    if wanted == "cuda":
        raise Unavailable(
            "No NVIDIA GPU is found on this machine.",
            "Start the studio with --device auto or cpu, or look at what nvidia-smi says.",
        )
    return [FoundDevice("cpu", cpu_name(), cpu(name="").memory_bytes)]


def gpus_by_nvml() -> list[tuple[str, str, int]]:
    """(uuid, name, memory in bytes) of every GPU in the order of the PCI bus; [] without a driver."""
    import pynvml  # here, not above: machines without a driver have no use for it

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        found = []
        for number in range(pynvml.nvmlDeviceGetCount()):
            gpu = pynvml.nvmlDeviceGetHandleByIndex(number)
            found.append(
                (
                    pynvml.nvmlDeviceGetUUID(gpu),
                    pynvml.nvmlDeviceGetName(gpu),
                    pynvml.nvmlDeviceGetMemoryInfo(gpu).total,
                )
            )
        return found
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def gpus_by_nvidia_smi() -> list[tuple[str, str, int]]:
    command = ["nvidia-smi", "--query-gpu=uuid,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.splitlines()]
    return [(row[0], row[1], int(row[2]) * 2**20) for row in rows if len(row) == 3 and row[2].isdigit()]


def visible(gpus: list[tuple[str, str, int]], chosen: str | None) -> list[FoundDevice]:
    """Those that CUDA_VISIBLE_DEVICES leaves: numbers or (beginnings of) uuids; like CUDA, it stops at the first unknown one."""
    found = [
        FoundDevice(f"cuda:{number}", name[:100], memory, uuid) for number, (uuid, name, memory) in enumerate(gpus)
    ]
    if chosen is None:
        return found
    kept: list[FoundDevice] = []
    for token in (part.strip() for part in chosen.split(",")):
        named = [
            gpu
            for gpu in found
            if gpu.id == f"cuda:{token}" or (token.startswith("GPU-") and gpu.visible.startswith(token))
        ]
        if len(named) != 1 or named[0] in kept:
            break
        kept += named
    return kept


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
