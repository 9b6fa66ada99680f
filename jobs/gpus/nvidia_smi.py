"""GPUs as nvidia-smi tells of them, where NVML cannot be asked."""

import re
import subprocess

from jobs.gpus.readings import Gpu, Process

MIB, GIB = 2**20, 2**30
SECONDS = 10  # a driver in trouble lets it hang
# "  MIG 1g.5gb     Device  0: (UUID: MIG-1b2c...)" below its card's line "GPU 0: NVIDIA A100 (UUID: GPU-...)"
SLICE = re.compile(r"\s+MIG (\S*?(\d+)gb\S*)\s+Device\s+(\d+): \(UUID: (MIG-[^)]+)\)")
CARD = re.compile(r"GPU (\d+): .*\(UUID: (GPU-[^)]+)\)")


def read() -> list[Gpu]:
    """In its own order, that of the PCI bus; [] where it is not there or fails. Lines that it does not understand are left out."""
    cards = _table("--query-gpu=index,uuid,name,memory.total,memory.used,mig.mode.current")
    cards = cards or _table("--query-gpu=index,uuid,name,memory.total,memory.used")  # one that does not know slices
    programs: dict[str, list[Process]] = {}
    for uuid, pid, name, memory in _table("--query-compute-apps=gpu_uuid,pid,process_name,used_memory", 4):
        if pid.isdigit():
            used = int(memory) * MIB if memory.isdigit() else None
            programs.setdefault(uuid, []).append(Process(int(pid), used, name.rpartition("/")[2]))
    slices = _slices() if any(row[-1] == "Enabled" for row in cards) else {}
    found = []
    for number, uuid, name, total, used, *cut in cards:
        if cut == ["Enabled"]:
            found += [Gpu(f"{number}.{place}", *rest) for place, *rest in slices.get(uuid, [])]
        elif total.isdigit():
            held = int(used) * MIB if used.isdigit() else 0
            found.append(Gpu(number, uuid, name, int(total) * MIB, held, tuple(programs.get(uuid, []))))
    return found


def _slices() -> dict[str, list[tuple[int, str, str, int]]]:
    """By card: (place, uuid, name, memory) of each slice; the memory is in its name, and nowhere else."""
    found: dict[str, list[tuple[int, str, str, int]]] = {}
    card = ""
    for line in _said("-L").splitlines():
        if named := CARD.match(line):
            card = named[2]
        elif part := SLICE.match(line):
            found.setdefault(card, []).append((int(part[3]), part[4], f"MIG {part[1]}", int(part[2]) * GIB))
    return found


def _table(query: str, columns: int = 0) -> list[list[str]]:
    """The rows that have as many cells as were asked for."""
    wanted = columns or query.count(",") + 1
    rows = [
        [cell.strip() for cell in line.split(",")]
        for line in _said(query, "--format=csv,noheader,nounits").splitlines()
    ]
    return [row for row in rows if len(row) == wanted]


def _said(*options: str) -> str:
    try:
        return subprocess.run(
            ["nvidia-smi", *options], capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL, check=True
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
