"""GPUs as NVML, the driver's own library, tells of them."""

import contextlib
from collections.abc import Iterator

from jobs.gpus.readings import Gpu, Process

NO_MEMORY = 2**64 - 1  # NVML's word for "not known" of a process's memory


def read() -> list[Gpu]:
    """In the order of the PCI bus; [] without a driver. A card that does not answer any more is left out, the others are told."""
    import pynvml  # here, not above: machines without a driver have no use for it

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        numbers = range(pynvml.nvmlDeviceGetCount())
        return [gpu for number in numbers for gpu in _card(pynvml, number)]
    except pynvml.NVMLError:
        return []
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _card(pynvml, number: int) -> list[Gpu]:
    """The card, or its slices where it is cut into some: then it can no longer be used as a whole."""
    try:
        card = pynvml.nvmlDeviceGetHandleByIndex(number)
        slices = [_gpu(pynvml, f"{number}.{place}", each) for place, each in _slices(pynvml, card)]
        return slices if slices or _is_cut(pynvml, card) else [_gpu(pynvml, str(number), card)]
    except pynvml.NVMLError:
        return []  # it fell off the bus, or is being reset


def _is_cut(pynvml, card) -> bool:
    try:
        return pynvml.nvmlDeviceGetMigMode(card)[0] == 1
    except pynvml.NVMLError:
        return False  # a kind of card that cannot be cut


def _slices(pynvml, card) -> Iterator[tuple[int, object]]:
    if not _is_cut(pynvml, card):
        return
    for place in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(card)):
        with contextlib.suppress(pynvml.NVMLError):  # an empty place
            yield place, pynvml.nvmlDeviceGetMigDeviceHandleByIndex(card, place)


def _gpu(pynvml, number: str, handle) -> Gpu:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    uuid, name = _text(pynvml.nvmlDeviceGetUUID(handle)), _text(pynvml.nvmlDeviceGetName(handle))
    return Gpu(number, uuid, name, memory.total, memory.used, tuple(_processes(pynvml, handle)))


def _processes(pynvml, handle) -> list[Process]:
    """Of the programs that compute and those that draw; [] where they are not told."""
    found: dict[int, Process] = {}
    for ask in (pynvml.nvmlDeviceGetComputeRunningProcesses, pynvml.nvmlDeviceGetGraphicsRunningProcesses):
        with contextlib.suppress(pynvml.NVMLError):
            for each in ask(handle):
                memory = each.usedGpuMemory
                found[each.pid] = Process(each.pid, None if memory in (None, NO_MEMORY) else memory)
    return list(found.values())


def _text(said: str | bytes) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said
