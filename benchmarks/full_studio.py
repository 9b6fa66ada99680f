"""A studio that has been in use for years: 10,000 runs with their histories, one of them with 1,000,000 rows of metrics.

The rows are written into the database directly, in the shape that queue, runner and worker leave them in; nothing of them was trained.
"""

import json
import math
import os
import random
from datetime import timedelta
from pathlib import Path

from studio.folders import AttemptFolder, new_id
from studio.metrics import RunMetrics
from studio.plan import TrainingPlan
from studio.records import LOCAL_PERSON, Adapter, BaseModel, Dataset, Run, RunEvent, Status, utc_now
from studio.settings import StudioSettings
from studio.studio import Studio
from studio.web import add_what_comes_with_it
from tests.queueing import resolved_plan

S = Status
# Of every thousand runs; what is open stays below the limit of 200
SHARES = {S.QUEUED: 10, S.PAUSED: 3, S.RETRY_WAIT: 1, S.FAILED: 120, S.CANCELLED: 66, S.SUCCEEDED: 800}
NAMES = ("pirate talk", "support replies", "SQL from questions", "medical notes", "Kurzfassungen", "拼音")
PIECE = 50_000  # rows of metrics between two looks of the runner
LOG_LINES = 100_000


def fill(folder: Path, runs: int, rows: int) -> tuple[Studio, str]:
    """The studio, and the id of its long run."""
    studio = Studio.open(StudioSettings(data_folder=folder))
    add_what_comes_with_it(studio)
    with studio.database.read() as session:
        base, data = session.query(BaseModel).first().id, session.query(Dataset).first().id
    chance = random.Random(0)
    states = [state for state, share in SHARES.items() for _ in range(share)]
    now = utc_now()
    made = [
        one_run(chance, base, data, chance.choice(states), now - timedelta(minutes=30 * (runs - number)))
        for number in range(runs)
    ]
    long = made[-1]
    long.state, long.name, long.steps, long.started_at = S.RUNNING, "the long one", rows, now - timedelta(days=30)
    long.epoch = long.attempt_epoch = long.attempt = 1
    add(studio, made)
    for run in made:
        freeze(studio, run)
    write_metrics(studio.data.run(long.id).attempt(1), rows)
    return studio, long.id


def one_run(chance: random.Random, base: str, data: str, state: Status, at) -> Run:
    steps = chance.choice((60, 156, 1200))
    ended = state in (S.FAILED, S.CANCELLED, S.SUCCEEDED)
    losses = [round(4 * math.exp(-place / 20) + chance.random(), 4) for place in range(40)]
    return Run(
        id=new_id(), name=f"{chance.choice(NAMES)} {chance.randrange(1000)}", base_model=base, dataset=data, method=chance.choice(("lora", "qlora", "dora")),
        tags=[chance.choice(("draft", "final", "日本"))], notes="A note of one line.", state=state, steps=steps, step=steps if state is S.SUCCEEDED else steps // 3 if ended else 0,
        loss=losses[-1] if ended else None, heldout_loss=chance.random() * 3 if ended else None, base_heldout_loss=3.5 if ended else None, sparkline=losses if ended else [],
        queued_at=at, started_at=at if ended else None, ended_at=at + timedelta(minutes=20) if ended else None, attempt=int(ended), epoch=int(ended), attempt_epoch=int(ended),
        problem="The loss is not a number any more." if state is S.FAILED else None, fix="Choose a lower learning rate." if state is S.FAILED else None,
    )  # fmt: skip


def add(studio: Studio, made: list[Run]) -> None:
    with studio.database.write() as session:
        session.add_all(made)
        session.flush()
        for run in made:
            path = [S.QUEUED, S.STARTING, S.RUNNING, run.state] if run.attempt else [S.QUEUED, run.state]
            session.add_all(
                RunEvent(run_id=run.id, epoch=int(place > 0), from_state=before, to_state=state, by=LOCAL_PERSON, text="It went on.", at=run.queued_at)
                for place, (before, state) in enumerate(zip([None, *path], path, strict=False))
            )  # fmt: skip
        session.add_all(
            Adapter(owner=LOCAL_PERSON, name=run.name, base_model=run.base_model, run=run.id, method=run.method, rank=16, size_bytes=9_000_000, sha256="0" * 64, heldout_loss=run.heldout_loss)
            for run in made
            if run.state is S.SUCCEEDED
        )  # fmt: skip


def freeze(studio: Studio, run: Run) -> None:
    """Without a sync of each of them to the disk."""
    folder = studio.data.run(run.id)
    folder.path.mkdir(parents=True)
    plan = TrainingPlan(name=run.name, base_model=run.base_model, dataset=run.dataset)
    folder.plan.write_text(json.dumps(plan.model_dump(mode="json")))
    folder.resolved.write_text(json.dumps(resolved_plan(steps=run.steps).model_dump(mode="json")))


def write_metrics(attempt: AttemptFolder, rows: int) -> None:
    """As the worker writes them, with the runner looking on; a log beside them."""
    attempt.path.mkdir()
    attempt.log.write_text("".join(f"12:00:00  step {number}\n" for number in range(min(rows, LOG_LINES))))
    chance, at = random.Random(1), 1.79e9
    for start in range(0, rows, PIECE):
        with open(attempt.metrics, "a") as file:
            file.writelines(json.dumps(row(chance, step, rows, at + step)) + "\n" for step in range(start + 1, min(rows, start + PIECE) + 1))  # fmt: skip
        RunMetrics(attempt.run).progress()
    os.sync()


def row(chance: random.Random, step: int, steps: int, at: float) -> dict:
    loss = 1 + 3 * math.exp(-5 * step / steps) + chance.random() / 4
    measured = {"heldout_loss": loss + 0.1} if step % 1000 == 0 else {}
    return {
        "step": step, "steps": steps, "epoch": round(step / steps, 4), "loss": loss, "grad_norm": chance.random(), "learning_rate": 1e-3 * (1 - step / steps), "tokens": 578,
        "trained_tokens": 425, "seconds": 1.0, "tokens_per_second": 500 + chance.random(), "mfu": 0.03, "memory_bytes": 741183488, "padding": 158, "at": at, **measured,
    }  # fmt: skip
