"""Which devices this machine has and who else is on them, found without torch: by NVML or nvidia-smi, otherwise the CPU."""

from jobs.gpus.found import FoundDevice, find_devices, threads_per_run, visible
from jobs.gpus.readings import Gpu, Process, read_gpus

__all__ = ["FoundDevice", "Gpu", "Process", "find_devices", "read_gpus", "threads_per_run", "visible"]
