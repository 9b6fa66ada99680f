"""What programs that are not ours hold of each device, and how that is said."""

from collections.abc import Callable, Collection, Mapping, Sequence

import psutil

from jobs.gpus.found import FoundDevice
from jobs.gpus.readings import Gpu, Process

GIB = 2**30
DRIVERS_OWN = (
    GIB  # the driver and a desktop keep up to so much for themselves; it is in the shares that plans leave free
)
GONE = "{name} ({id}) is not seen any more: it may have failed, or is being reset. Nothing is started on it; look at what nvidia-smi says."


def held_by_others(
    devices: Sequence[FoundDevice],
    gpus: Mapping[str, Gpu],
    leased: Collection[str],
    is_ours: Callable[[int], bool | None],
) -> dict[str, tuple[int, str]]:
    """Device id → (bytes, words); (0, "") where nobody else is on it. `gpus`: what the driver says now, by uuid.

    On a device that we have leased only programs count that are known to be others': what is used besides is our own. On
    a device that we have not leased everything counts that is used, whoever it is: the driver may not tell.
    """
    found: dict[str, tuple[int, str]] = {}
    for device in devices:
        if device.kind != "cuda":
            found[device.id] = (0, "")
        elif (gpu := gpus.get(device.visible)) is None:
            found[device.id] = (device.memory_bytes, GONE.format(name=device.name, id=device.id))
        else:
            found[device.id] = _of_one(device, gpu, device.id in leased, is_ours)
    return found


def _of_one(device: FoundDevice, gpu: Gpu, leased: bool, is_ours: Callable[[int], bool | None]) -> tuple[int, str]:
    others = [each for each in gpu.processes if is_ours(each.pid) is False]
    size = sum(each.memory_bytes or 0 for each in others)
    if not leased:
        size = max(size, gpu.used_bytes)
        others = others or [each for each in gpu.processes if not is_ours(each.pid)]
    if size < DRIVERS_OWN:
        return 0, ""
    whole = f"{size / GIB:.1f} GiB of its {device.memory_bytes / GIB:.1f} GiB"
    return size, f"{device.name} ({device.id}): {whole} are held by {_named(others)}."


def _named(processes: Sequence[Process]) -> str:
    """The largest few; "a program that the driver does not name" where none is told."""
    largest = sorted(processes, key=lambda each: -(each.memory_bytes or 0))[:3]
    said = [f"{each.name or name_of(each.pid)} (process {each.pid})" for each in largest]
    more = len(processes) - len(said)
    return (" and ".join(said) or "a program that the driver does not name") + (f" and {more} more" if more else "")


def name_of(pid: int) -> str:
    try:
        return psutil.Process(pid).name()
    except psutil.Error:
        return "a program"


def ours(mark: Callable[[psutil.Process], bool]) -> Callable[[int], bool | None]:
    """Whether a process is one of ours: True or False; None where this machine does not know its number (a container)."""

    def is_ours(pid: int) -> bool | None:
        try:
            return mark(psutil.Process(pid))
        except psutil.NoSuchProcess:
            return None
        except psutil.Error:
            return False  # somebody else's: we may not look at it

    return is_ours
