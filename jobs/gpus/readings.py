"""What the driver says of the GPUs now: NVML where it answers, otherwise nvidia-smi."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """A program that computes on a GPU. In a container its number may be one that this machine does not know."""

    pid: int
    memory_bytes: int | None = None  # None: the driver does not tell
    name: str = ""


@dataclass(frozen=True)
class Gpu:
    """One card, or one slice of a card (MIG), which is a device of its own."""

    number: str  # "0" in the order of the PCI bus; a slice of it "0.1"
    uuid: str
    name: str
    memory_bytes: int
    used_bytes: int = 0
    processes: tuple[Process, ...] = ()


def read_gpus() -> list[Gpu]:
    """Every GPU that answers now; [] where there is no driver, or none that answers."""
    from jobs.gpus import nvidia_smi, nvml

    return nvml.read() or nvidia_smi.read()
