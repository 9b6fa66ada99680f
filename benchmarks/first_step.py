"""From the click to the first optimiser step on the built-in model: started cold and by the warm parent, in turn.

    python -m benchmarks.first_step [ROUNDS]

Two studios with a runner each, one with --no-warm-start. The click is the call that queues the run; the step is when its
line was written. CPU-seconds are those of the supervisor and everything below it up to that line; wall time is of this
machine as busy as it is.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from benchmarks.machine import machine, today
from studio import base_models, datasets, runs
from studio.files import read_json
from studio.folders import AttemptFolder
from studio.plan import read_plan
from studio.records import OPEN
from studio.settings import StudioSettings
from studio.studio import Studio

PROJECT = Path(__file__).parents[1]
POLL_SECONDS = 0.05
READY = "libraries are loaded"


def start(folder: Path, warm: bool, opened: ExitStack) -> Studio:
    """A studio with the built-in model and data, and its runner."""
    studio = Studio.open(StudioSettings(data_folder=folder, warm_start=warm, device="cpu"))
    base_models.add_builtin(studio)
    datasets.add_builtins(studio)
    log = opened.enter_context(studio.data.runner_log.open("wb"))
    environment = {**os.environ, **studio.settings.as_environment()}
    runner = opened.enter_context(
        subprocess.Popen([sys.executable, "-m", "jobs.runner"], cwd=PROJECT, env=environment, stderr=log)
    )
    opened.callback(runner.terminate)
    while warm and READY not in studio.data.runner_log.read_text():
        time.sleep(POLL_SECONDS)
    return studio


def click(studio: Studio, rows: str) -> tuple[float, float]:
    """(seconds, CPU-seconds) until the first step of a run of one step."""
    training = {"max_steps": 1, "batch_size": 8}
    plan = read_plan({"base_model": base_models.BUILTIN, "dataset": rows, "training": training})
    began = time.time()
    run = runs.queue_run(studio, plan)
    attempt, spent = studio.data.run(run.id).attempt(1), 0.0
    while (stepped := first_step(attempt)) is None:
        spent = max(spent, cpu_of(attempt))
        if runs.get_run(studio, run.id).problem:
            raise SystemExit(attempt.log.read_text())
        time.sleep(POLL_SECONDS)
    spent = max(spent, cpu_of(attempt))
    while runs.get_run(studio, run.id).state in OPEN:
        time.sleep(POLL_SECONDS)
    return stepped - began, spent


def first_step(attempt: AttemptFolder) -> float | None:
    with suppress(FileNotFoundError, ValueError):
        lines = map(json.loads, attempt.metrics.read_text().splitlines())
        return next((line["at"] for line in lines if "loss" in line), None)


def cpu_of(attempt: AttemptFolder) -> float:
    process, spent = read_json(attempt.process, {}), 0.0
    with suppress(psutil.Error, KeyError):
        supervisor = psutil.Process(process["pid"])
        for each in [supervisor, *supervisor.children(recursive=True)]:
            with suppress(psutil.Error):
                spent += each.cpu_times().user + each.cpu_times().system
    return spent


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"# From the click to the first step, {today()}\n\n{machine()}; load {os.getloadavg()[0]:.1f} at the start.")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        studios = {name: start(Path(folder) / name, name == "warm", opened) for name in ("cold", "warm")}
        rows = {name: next(iter(datasets.list_datasets(studio).items)).id for name, studio in studios.items()}
        found: dict[str, list] = {name: [] for name in studios}
        for _ in range(rounds):
            for name, studio in studios.items():
                found[name].append(click(studio, rows[name]))
    print(
        f"`python -m benchmarks.first_step {rounds}`, medians (all).\n\n| start | wall seconds | CPU-seconds |\n|---|---|---|"
    )
    for name, measured in found.items():
        cells = [f"{statistics.median(each):.2f} ({', '.join(f'{x:.2f}' for x in each)})" for each in zip(*measured, strict=True)]  # fmt: skip
        print(f"| {name} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
