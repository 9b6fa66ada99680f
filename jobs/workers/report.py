"""What a training tells while it runs: metrics, samples and its result, as files that a reader may open at any moment."""

import importlib.metadata
import json
import math
import re
import resource
import sys
import time
from pathlib import Path

import torch

from studio.code_version import code_version
from studio.files import write_json
from studio.folders import AttemptFolder

PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors", "tokenizers")
# Linux hands ru_maxrss down through fork and exec: a small program started by a large one reports the large one's peak.
HIGH_WATER = Path("/proc/self/status")


class Report:
    """Writer of one attempt's files. A process that is not the first of its training writes nothing."""

    def __init__(self, attempt: AttemptFolder, writes: bool = True):
        self.attempt, self.writes = attempt, writes
        self.began = time.monotonic()
        self.facts: dict = {}  # what is known so far for result.json

    def say(self, text: str) -> None:
        """One line of the log, in plain words."""
        if self.writes:
            print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)

    def metric(self, **values) -> None:
        self.append(self.attempt.metrics, {**values, "at": time.time()})

    def sample(self, **values) -> None:
        self.append(self.attempt.samples, values)

    def append(self, path, values: dict) -> None:
        if self.writes:
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(finite(values), ensure_ascii=False) + "\n")

    def result(
        self, status: str, code: int, kind: str | None = None, problem: str | None = None, fix: str | None = None
    ) -> int:
        """Write result.json; `code` is the exit code that goes with it. Returns the code."""
        if self.writes:
            spent = self.facts.get("seconds", 0.0) or time.monotonic() - self.began
            values = {
                **self.facts,
                "status": status,
                "code": code,
                "kind": kind or self.facts.get("kind"),
                "problem": problem or self.facts.get("problem"),
                "fix": fix or self.facts.get("fix"),
                "seconds": round(spent, 3),
            }
            write_json(
                self.attempt.result,
                finite({**values, "peak_memory_bytes": peak_memory_bytes(), "versions": versions()}),
            )
        return code


def finite(value):
    """JSON knows no NaN: what is not a finite number becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return value


def peak_memory_bytes() -> int:
    """Most memory held so far: of the GPU when one is used, otherwise of this process (resident set)."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_reserved()
    if HIGH_WATER.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", HIGH_WATER.read_text())):
        return int(found[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def versions() -> dict[str, str]:
    libraries = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {**code_version(), "python": sys.version.split()[0], **libraries}
