"""A data folder with a tiny random base and small data, and trainings in it: as processes of their own, or in this one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from jobs.workers import train as worker
from jobs.workers.ending import Request
from studio.files import read_json, write_json
from studio.folders import AdapterFolder, AttemptFolder, DataFolder
from studio.model_facts import ModelFacts
from studio.plan import read_plan
from studio.resolved_plan import ResolvedPlan
from tests.workers.tiny_facts import facts_of

LORA = {"name": "lora", "rank": 4}
PROJECT = Path(__file__).parents[2]
QUESTIONS = ["What do you count?", "Who are you?", "Where is the lighthouse?", "Tell me about your day!"]


def conversation(row: int, question: str, answer: str, heldout: bool = False) -> dict:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"row": row, "line": row, "messages": messages, "heldout": heldout}


def small_data(rows: int = 24, heldout: int = 4) -> list[dict]:
    return [
        conversation(
            row,
            f"{QUESTIONS[row % 4]} ({row})",
            f"The keeper counts {'one, two, ' * (row % 5)}{row} ships.",
            heldout=row > rows - heldout,
        )
        for row in range(1, rows + 1)
    ]


def resolved_for(plan, **changes) -> ResolvedPlan:
    """Numbers that suit the tiny model; what the plan itself says in numbers is followed."""
    values = {
        "device": "cpu", "precision": "fp32", "targets": [], "sequence_length": 128, "epochs": 2.0, "train_rows": 20, "heldout_rows": 4, "steps": 10,
        "warmup_steps": 1, "learning_rate": 1e-3, "batch_size": plan.training.batch_size, "micro_batch": plan.training.batch_size, "accumulation": 1,
        "token_budget": 512, "gradient_checkpointing": False, "evaluate_every": 4, "checkpoint_every": 4,
    }  # fmt: skip
    said = {
        name: value
        for name, value in plan.training.model_dump().items()
        if name in ResolvedPlan.model_fields and value != "auto"
    }
    return ResolvedPlan.model_validate({**values, **said, **changes})


class TrainingPlace:
    """A data folder and what tests do in it."""

    def __init__(self, data: DataFolder, facts: ModelFacts):
        self.data, self.facts = data, facts
        self.processes: list[subprocess.Popen] = []

    def write_rows(self, dataset: str, rows: list[dict]) -> None:
        folder = self.data.dataset(dataset).create()
        folder.messages.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def queue(
        self, run: str, resolved: dict | None = None, training: dict | None = None, method: dict | None = None, **plan
    ) -> AttemptFolder:
        """A run's folder with its plan, and its first attempt's folder."""
        training = {"batch_size": 4, **(training or {})}
        made = read_plan(
            {
                "base_model": "tiny",
                "dataset": "small",
                "training": training,
                "method": method if method and method.get("name", "lora") != "lora" else LORA | (method or {}),
                **plan,
            }
        )
        folder = self.data.run(run).create()
        write_json(folder.plan, made.model_dump(mode="json"))
        write_json(folder.resolved, resolved_for(made, **(resolved or {})).model_dump(mode="json"))
        return folder.attempt(1).create()

    def environment(self) -> dict:
        return {
            "PATH": os.environ["PATH"],
            "OMP_NUM_THREADS": "1",
            "HOME": str(self.data.path),
            "ACCELERATE_USE_CPU": "true",
        }

    def start(self, attempt: AttemptFolder, *launcher: str) -> subprocess.Popen:
        """The worker as a process of its own, its words in the attempt's log."""
        command = [*(launcher or (sys.executable,)), "-m", "jobs.workers.train", str(attempt.path)]
        with open(attempt.log, "w") as log:
            process = subprocess.Popen(
                command, cwd=PROJECT, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Whatever a failed test left running."""
        for process in self.processes:
            process.kill()
            process.wait()

    def train(self, attempt: AttemptFolder, *launcher: str) -> dict:
        """Train to the end. Returns result.json with the process's exit code as "exit"."""
        code = self.start(attempt, *launcher).wait(timeout=600)
        result = read_json(attempt.result)
        assert result is not None, attempt.log.read_text()
        return {**result, "exit": code}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def steps_of(attempt: AttemptFolder) -> list[dict]:
    return [line for line in lines(attempt.metrics) if "loss" in line]


def evaluations_of(attempt: AttemptFolder) -> list[dict]:
    return [line for line in lines(attempt.metrics) if "heldout_loss" in line]


def training_place(folder: Path, tiny_base: Path) -> TrainingPlace:
    data = DataFolder(folder / "data").create()
    base = data.base_model("tiny").create()
    base.model.symlink_to(tiny_base)
    facts = facts_of(tiny_base)
    write_json(base.facts, facts.model_dump(mode="json"))
    made = TrainingPlace(data, facts)
    made.write_rows("small", small_data())
    return made


def adapter_of(attempt: AttemptFolder) -> dict[str, torch.Tensor]:
    return load_file(AdapterFolder(attempt.adapter).weights)


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def asking(wanted: str, after_step: int) -> type[Request]:
    """A person who asks for this once so many steps are done."""

    class Asked(Request):
        def __init__(self, attempt):
            self.attempt = attempt

        def wanted(self, accelerator):
            return wanted if len(steps_of(self.attempt)) >= after_step else None

    return Asked


NEVER = asking("pause", 10**9)


def train_here(attempt: AttemptFolder, request: type[Request] = NEVER) -> dict:
    """In this process: quicker than a process of its own. Returns result.json with the exit code."""
    code = worker.main(str(attempt.path), request)
    return {**read_json(attempt.result), "exit": code}


def until(true, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)
