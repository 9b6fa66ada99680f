"""Does the cost grow as the work does: trainings on more rows, longer sequences, and the preparation of much data.

    python -m benchmarks.growth [--only rows|lengths|preparation] [--megabytes 20,2048] [--results FILE]

Each line is a process of its own with one thread. CPU-seconds of steps only, after the first of them; peak memory is the
resident set's. The base is small and of random weights; preparation uses the built-in model's tokenizer and the text of
the built-in data, written again and again with a number before each question.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import machine, today
from benchmarks.random_studio import RandomStudio, random_row
from jobs.workers import train as worker
from jobs.workers.examples import decides, encode
from jobs.workers.report import peak_memory_bytes
from jobs.workers.token_store import open_store
from jobs.workers.training import Training
from studio.errors import StudioError
from studio.files import read_json
from studio.folders import AttemptFolder, DatasetFolder
from studio.learning import Learning
from studio.rows import iter_training_rows
from studio.tokens import ChatTokenizer

PROJECT = Path(__file__).parents[1]
BUILTIN = PROJECT / "studio" / "builtin"
SHAPE = {
    "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 16384,
}  # fmt: skip
VOCABULARY = 4096
ROWS, STEPS = (1_000, 10_000, 100_000), 40
LENGTHS, TOKENS = (512, 1024, 2048, 4096, 8192, 16384), 16384
SPARE_BYTES = 4 * 2**30


class Timed(Training):
    """The worker's own training, with a clock on its steps."""

    def __init__(self, *given):
        super().__init__(*given)
        self.cpu: list[tuple[float, int]] = []

    def step(self, total: int) -> None:
        began, before = time.process_time(), self.progress.tokens
        super().step(total)
        self.cpu.append((time.process_time() - began, self.progress.tokens - before))
        if len(self.cpu) == 1:
            self.report.facts["setup_cpu"] = began
        seconds, tokens = map(sum, zip(*self.cpu[1:] or self.cpu, strict=True))
        self.report.facts["tokens_per_cpu_second"] = tokens / seconds

    def answer_prompts(self) -> None:
        """None is asked here."""


def train(attempt: AttemptFolder) -> dict:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    with open(attempt.log, "w") as log:
        subprocess.run([sys.executable, "-m", "benchmarks.growth", "worker", str(attempt.path)], cwd=PROJECT, env=environment, stdout=log, stderr=log)  # fmt: skip
    result = read_json(attempt.result, default={})
    if result.get("status") != "succeeded":
        raise SystemExit(f"A training failed.\n{attempt.log.read_text()[-3000:]}")
    return result


def cells(result: dict) -> str:
    return f"{result['tokens_per_cpu_second']:,.0f} | {result['setup_cpu']:.1f} | {result['peak_memory_bytes'] / 2**20:,.0f} |"


def grow_rows(folder: Path) -> list[str]:
    """More rows, the same steps."""
    studio, random = RandomStudio(folder, SHAPE, VOCABULARY), np.random.default_rng(0)
    lines = ["| rows | tokens per CPU-second | set-up, CPU-s | again | peak MiB |", "|---|---|---|---|---|"]
    for count in ROWS:
        rows = [random_row(int(random.integers(32, 128)), 0.7, VOCABULARY, random) for _ in range(count)]
        training = {"batch_size": 16, "max_steps": STEPS, "precision": "fp32"}
        first = studio.queue(f"rows-{count}", rows, {"name": "lora"}, training)
        result = train(first)
        again = train(first.run.attempt(2).create())
        speed, setup, peak = cells(result).split(" | ")
        lines.append(f"| {count:,} | {speed} | {setup} | {again['setup_cpu']:.1f} | {peak}")
        print(lines[-1], flush=True)
    return lines


def grow_lengths(folder: Path) -> list[str]:
    """Longer rows, the same number of tokens in all."""
    studio, random = RandomStudio(folder, SHAPE, VOCABULARY), np.random.default_rng(0)
    lines = ["| tokens of a row | rows at once | tokens per CPU-second | set-up, CPU-s | peak MiB |", "|---|---|---|---|---|"]  # fmt: skip
    for length in LENGTHS:
        batch = max(1, 4096 // length)
        steps = max(2, TOKENS // (length * batch))
        rows = [random_row(length, 0.7, VOCABULARY, random) for _ in range(batch * steps + 2)]
        training = {"batch_size": batch, "max_steps": steps, "precision": "fp32", "sequence_length": length, "validation": 0.0}  # fmt: skip
        attempt = studio.queue(f"length-{length}", rows, {"name": "lora"}, training)
        at_once = read_json(attempt.run.resolved)["micro_batch"]
        lines.append(f"| {length:,} | {at_once} | {cells(train(attempt))}")
        print(lines[-1], flush=True)
    return lines


def grow_data(folder: Path, sizes: list[int]) -> list[str]:
    """More data, prepared from the first row to the last."""
    lines = ["| data, MB | rows | rows per CPU-second | opened again, CPU-s | peak MiB |", "|---|---|---|---|---|"]
    for megabytes in sizes:
        if shutil.disk_usage(folder).free < 3 * megabytes * 10**6 + SPARE_BYTES:
            raise SystemExit(
                f"{megabytes} MB of data need three times that on the disk, and {SPARE_BYTES >> 30} GiB to spare."
            )
        dataset = DatasetFolder(folder / f"data-{megabytes}").create()
        write_rows(dataset, megabytes * 10**6)
        said = [prepared(dataset), prepared(dataset)]
        first, again = said
        lines.append(f"| {megabytes:,} | {first['rows']:,} | {first['rows'] / first['cpu']:,.0f} | {again['cpu']:.1f} | {first['peak'] / 2**20:,.0f} |")  # fmt: skip
        print(lines[-1], flush=True)
        shutil.rmtree(dataset.path)
    return lines


def prepared(dataset: DatasetFolder) -> dict:
    found = subprocess.run([sys.executable, "-m", "benchmarks.growth", "prepare", str(dataset.path)], cwd=PROJECT, capture_output=True, text=True, check=True)  # fmt: skip
    return json.loads(found.stdout.splitlines()[-1])


def write_rows(dataset: DatasetFolder, size: int) -> None:
    files = sorted((BUILTIN / "datasets").glob("*.jsonl"))
    given = [json.loads(line)["messages"] for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    written, row = 0, 0
    with open(dataset.messages, "w", encoding="utf-8") as file:
        while written < size:
            first, *others = given[row % len(given)]
            row += 1
            messages = [{**first, "content": f"{row}: {first['content']}"}, *others]
            written += file.write(json.dumps({"row": row, "line": row, "messages": messages, "heldout": False}) + "\n")


def prepare(dataset: DatasetFolder) -> None:
    """The trainer's own preparation in this process."""
    base, learning = BUILTIN / "model", Learning()
    tokenizer = ChatTokenizer.load(base)
    began = time.process_time()
    rows = lambda: (encode(row, tokenizer, learning) for row in iter_training_rows(dataset))  # noqa: E731
    store = open_store(dataset, decides(dataset, base, tokenizer, learning), rows, print)
    spent = time.process_time() - began
    print(json.dumps({"rows": len(store), "cpu": spent, "peak": peak_memory_bytes()}))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("rows", "lengths", "preparation"))
    parser.add_argument("--megabytes", default="20,2048", help="sizes of the data that is prepared")
    parser.add_argument("--results", type=Path, help="also write the tables into this file")
    options = parser.parse_args()
    parts = {
        "rows": grow_rows,
        "lengths": grow_lengths,
        "preparation": lambda folder: grow_data(folder, [int(each) for each in options.megabytes.split(",")]),
    }
    tables = [f"# Growth, {today()}", f"`python -m benchmarks.growth` on {machine()}; load {os.getloadavg()[0]:.1f} at the start."]  # fmt: skip
    for name, grow in parts.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="growth-") as folder:
                tables += [f"## {name.capitalize()}", "\n".join(grow(Path(folder)))]
    if options.results:
        options.results.write_text("\n\n".join(tables) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker.Training = Timed
        sys.exit(worker.main(sys.argv[2]))
    if sys.argv[1:2] == ["prepare"]:
        prepare(DatasetFolder(sys.argv[2]))
        sys.exit(0)
    try:
        main()
    except StudioError as error:
        sys.exit(f"{error.problem} {error.fix}")
