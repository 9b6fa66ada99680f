"""The sides that are measured, each in a process of its own, and the parent's end of their pipes."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
LLAMAFACTORY = Path(".venv-llamafactory/bin/python")  # made by `make bench-llamafactory`


@dataclass(frozen=True)
class Kind:
    """One way to train."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    package: str | None = None  # without it the side is left out, and that is said
    same_batches: bool = True  # as all others: then so must be its losses
    peer: bool = True
    objectives: tuple[str, ...] = ("answers",)  # what it can learn


KINDS = [
    Kind("ours", "side_ours", peer=False, objectives=("answers", "preference")),
    Kind("Trainer", "side_trainer"),
    Kind("TRL padded", "side_trl", ("padded",), "trl"),
    Kind("TRL padding-free", "side_trl", ("padding-free",), "trl"),
    Kind("TRL packing", "side_trl", ("packing",), "trl", same_batches=False),
    Kind("LLaMA-Factory", "side_llamafactory", (), "llamafactory"),
    Kind("TRL DPO", "side_trl_dpo", (), "trl", objectives=("preference",)),
    Kind("TRL DPO, reference before", "side_trl_dpo", ("reference-before",), "trl", objectives=("preference",)),
    Kind("matrix products", "side_gemm", peer=False, same_batches=False),
]


def python_of(kind: Kind) -> str | None:
    """The Python that has what the side needs; None when there is none."""
    if kind.package == "llamafactory":
        named = os.environ.get("BENCH_LLAMAFACTORY_PYTHON")
        beside = PROJECT / LLAMAFACTORY
        return named or (str(beside) if beside.exists() else None)
    return sys.executable if kind.package is None or importlib.util.find_spec(kind.package) else None


class Side:
    """A running side. Raises SystemExit with the end of its log when it dies."""

    def __init__(self, kind: Kind, python: str, job_folder: Path):
        self.kind, self.log = kind, job_folder / f"{kind.name}.log"
        command = [python, "-m", f"benchmarks.training.{kind.module}", str(job_folder), *kind.arguments]
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, cwd=PROJECT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True,
            )  # fmt: skip

    def step(self) -> dict:
        """Do one step. Returns what the side tells of it."""
        return self._ask("go")

    def end(self) -> dict:
        """Returns its peak memory and versions."""
        told = self._ask("end")
        self.process.wait(60)
        return told

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _ask(self, word: str) -> dict:
        try:
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its log says why
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.kind.name} ended before its last turn:\n{self.log.read_text()[-3000:]}")
        return json.loads(line)


def environment() -> dict[str, str]:
    """One thread, no network, no GPU: the same for every side."""
    alike = {
        "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "ACCELERATE_USE_CPU": "true", "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    return {**os.environ, **alike}
