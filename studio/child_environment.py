"""What a process that we start may know of our environment: an allow-list, so that tokens, cloud keys and the database's address stay here."""

import os
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).parents[1]
INHERITED = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
    "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES",
)  # fmt: skip


def child_environment(threads: int, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a worker that uses `threads` CPU threads and never asks the Hub for anything."""
    return {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",  # a crash in native code says so in the log
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **(more or {}),
    }
