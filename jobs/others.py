"""Other people's programs on our devices: looked at by the runner, so that nothing is started where there is no room."""

from collections.abc import Sequence
from pathlib import Path

import psutil

from jobs.gpus import FoundDevice, read_gpus
from jobs.gpus.foreign import held_by_others, ours
from jobs.processes import ATTEMPT_MARK
from studio.line.devices import note_foreign
from studio.line.shown import devices_shown
from studio.studio import Studio


def look(studio: Studio, devices: Sequence[FoundDevice]) -> None:
    """Note in the devices' rows what others hold of them. Without a GPU there is nothing to look at."""
    if not any(device.kind == "cuda" for device in devices):
        return
    leased = {shown["id"] for shown in devices_shown(studio) if shown["held_by"]}
    gpus = {gpu.uuid: gpu for gpu in read_gpus()}
    note_foreign(studio, held_by_others(devices, gpus, leased, ours(in_folder(studio.data.path))))


def in_folder(data: Path):
    """Whether a process works in this data folder: its command names something in it, or it has an attempt's mark."""
    root = str(data)

    def works_there(process: psutil.Process) -> bool:
        named = (process.environ().get(ATTEMPT_MARK, ""), *process.cmdline())
        return any(each == root or each.startswith(root + "/") for each in named)

    return works_there
