"""The machine and the day, as the head of a results file says them."""

import datetime
import os
import platform
from pathlib import Path

import psutil

SHOWN_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def machine() -> str:
    """ "AMD EPYC (family 25, model 17; avx2, avx512f), 2 cores, 23.4 GiB, Linux 6.1, Python 3.11.7"."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = [flag for flag in SHOWN_FLAGS if flag in said.get("flags", "").split()]
    name = said.get("model name") or platform.processor() or platform.machine()
    about = (
        f"family {said.get('cpu family', '?')}, model {said.get('model', '?')}; {', '.join(flags) or 'no vector flags'}"
    )
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{name} ({about}), {os.cpu_count()} cores, {memory:.1f} GiB, {system}"


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()
