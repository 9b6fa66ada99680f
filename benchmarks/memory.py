"""The memory plan against the measured peak of real trainings: `python -m benchmarks.memory`, `make bench-memory`.

Each line is a run that the studio has queued, with the estimate that a person would have been shown, and a worker of its
own whose high-water mark is read afterwards. Rows are all as long as the sequence, so that the budget is really used.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.machine import machine, today
from benchmarks.random_studio import RandomStudio, random_row
from benchmarks.training.sides import PROJECT, environment
from studio.files import read_json

CLOSE = 0.15
STEPS = 2
SIZES = {
    "4M": {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 6, "num_attention_heads": 4},
    "39M": {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 8, "num_attention_heads": 8},
    "150M": {"hidden_size": 768, "intermediate_size": 2304, "num_hidden_layers": 16, "num_attention_heads": 12},
}


METHODS = {
    "LoRA": {"name": "lora", "rank": 16},
    "DoRA": {"name": "lora", "rank": 16, "dropout": 0.0, "dora": True},
    "output layer in full": {"name": "lora", "rank": 16, "dropout": 0.0, "modules_to_save": ["embed_tokens"]},
    "AdaLoRA": {"name": "adalora", "dropout": 0.0},
    "VeRA": {"name": "vera", "dropout": 0.0},
    "IA³": {"name": "ia3"},
    "OFT": {"name": "oft"},
    "prefix tuning": {"name": "prefix_tuning"},
    "prompt tuning": {"name": "prompt_tuning"},
    "p-tuning": {"name": "p_tuning"},
}


@dataclass(frozen=True)
class Case:
    size: str
    vocabulary: int
    length: int
    rows: int  # computed at once
    dropout: float = 0.0
    recompute: bool = False
    answer_share: float = 0.86
    quantization: str = "none"
    method: str = "LoRA"  # of METHODS; all but it are computed by PEFT's own layers, not by our fused functions

    @property
    def title(self) -> str:
        more = [f"dropout {self.dropout:g}"] if self.dropout else []
        more += ["checkpointing"] if self.recompute else []
        more += [f"{self.answer_share:.0%} learned"] if self.answer_share != 0.86 else []
        more += [self.quantization] if self.quantization != "none" else []
        more += [self.method] if self.method != "LoRA" else []
        return f"{self.size}, vocabulary {self.vocabulary:,}, {self.rows} × {self.length}{''.join(f', {each}' for each in more)}"


CASES = [
    Case("4M", 4_096, 64, 1),
    Case("4M", 4_096, 512, 8, dropout=0.05),
    Case("4M", 4_096, 256, 16, recompute=True),
    Case("39M", 32_000, 128, 8),
    Case("39M", 32_000, 512, 4),
    Case("39M", 32_000, 512, 8),
    Case("39M", 32_000, 512, 4, dropout=0.05),
    Case("39M", 32_000, 512, 8, dropout=0.05),
    Case("39M", 32_000, 512, 4, recompute=True),
    Case("39M", 32_000, 512, 4, dropout=0.05, recompute=True),
    Case("39M", 152_000, 512, 2),
    Case("150M", 32_000, 512, 2),
    Case("150M", 32_000, 256, 4, dropout=0.05),
    Case("150M", 32_000, 512, 2, recompute=True),
    Case("150M", 32_000, 512, 4, dropout=0.05, recompute=True),
    Case("39M", 32_000, 2048, 1, answer_share=0.10),
    Case("39M", 32_000, 512, 4, quantization="nf4"),
    Case("39M", 32_000, 512, 4, quantization="int8"),
    *(Case("39M", 32_000, 512, 4, method=method) for method in METHODS if method != "LoRA"),
]


@dataclass(frozen=True)
class Measured:
    case: Case
    planned: dict[str, int]  # part → bytes
    peak: int

    @property
    def error(self) -> float:
        return sum(self.planned.values()) / self.peak - 1


def run(case: Case, folder: Path) -> Measured:
    """Raises SystemExit with the log when the training fails."""
    random = np.random.default_rng(0)
    shape = {**SIZES[case.size], "num_key_value_heads": 2, "max_position_embeddings": 4096}
    studio = RandomStudio(folder, shape, case.vocabulary)
    rows = [random_row(case.length, case.answer_share, case.vocabulary, random) for _ in range(case.rows * STEPS)]
    training = {
        "batch_size": case.rows, "micro_batch": case.rows, "max_steps": STEPS, "precision": "fp32", "validation": 0.0,
        "gradient_checkpointing": case.recompute, "quantization": case.quantization,
    }  # fmt: skip
    method = METHODS[case.method] | ({"dropout": case.dropout} if case.method == "LoRA" else {})
    attempt = studio.queue("rows", rows, method, training)
    planned = studio.planned(attempt)
    with open(attempt.log, "w") as log:
        subprocess.run(
            [sys.executable, "-m", "jobs.workers.train", str(attempt.path)], cwd=PROJECT, env=environment(),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    result = read_json(attempt.result, default={})
    if result.get("status") != "succeeded":
        raise SystemExit(f"{case.title}: the training failed.\n{attempt.log.read_text()[-3000:]}")
    return Measured(case, planned.memory, result["peak_memory_bytes"])


def line(found: Measured) -> str:
    mib = {part: f"{size / 2**20:,.0f}" for part, size in found.planned.items()}
    planned, peak = sum(found.planned.values()) / 2**20, found.peak / 2**20
    parts = ", ".join(f"{part} {size}" for part, size in mib.items())
    return f"| {found.case.title} | {planned:,.0f} | {peak:,.0f} | {found.error:+.1%} | {parts} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, help="Also write the table into this file.")
    parser.add_argument("--only", help="Runs with this in their name.", default="")
    options = parser.parse_args()
    lines = ["| run | planned MiB | measured MiB | error | planned by part |", "|---|---|---|---|---|"]
    print(*lines, sep="\n", flush=True)
    every = []
    for case in CASES:
        if options.only in case.title:
            with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder:
                every.append(run(case, Path(folder)))
            lines.append(line(every[-1]))
            print(lines[-1], flush=True)
    worst = max(every, key=lambda found: abs(found.error))
    said = f"Furthest off: {worst.error:+.1%} ({worst.case.title}). {sum(abs(each.error) <= CLOSE for each in every)} of {len(every)} are within {CLOSE:.0%}."
    print(said)
    if options.results:
        head = f"# Planned against measured memory, {today()}\n\n`python -m benchmarks.memory` on {machine()}. "
        options.results.write_text(head + "\n".join([said + "\n", *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
