"""Runs and adapters as trainings leave them, written in a moment: for tests of what is shown, not of how it came about."""

import json
import math

from studio import base_models, datasets
from studio.files import write_json
from studio.folders import new_id
from studio.plan import TrainingPlan
from studio.records import TERMINAL, Adapter, Run, RunEvent, Status, utc_now
from studio.studio import Studio

NASTY = """<img src=x onerror="window.hacked=1">${window.hacked=1}{{7*7}}`"'"""
RESOLVED = {
    "device": "cpu", "precision": "fp32", "targets": ["q_proj", "v_proj"], "sequence_length": 96, "epochs": 3.0, "train_rows": 380, "heldout_rows": 20,
    "steps": 24, "warmup_steps": 2, "learning_rate": 1e-3, "batch_size": 16, "micro_batch": 16, "accumulation": 1, "token_budget": 1536,
    "gradient_checkpointing": False, "evaluate_every": 8, "checkpoint_every": 8, "tokens": 42000, "reasons": {"epochs": "380 rows are few."},
}  # fmt: skip


def what_comes_with_it(studio: Studio) -> None:
    base_models.add_builtin(studio)
    datasets.add_builtins(studio)


def leave_run(
    studio: Studio,
    name: str,
    state: Status = Status.SUCCEEDED,
    dataset: str = "pirate",
    problem: str | None = None,
    **values,
) -> str:
    """A run in this state with its files; one that succeeded also has its adapter. Returns its id."""
    id = values.pop("id", None) or new_id()
    step = 24 if state is Status.SUCCEEDED else 0 if state is Status.QUEUED else 10
    plan = TrainingPlan.model_validate({"name": name, "base_model": "builtin", "dataset": dataset})
    _files(studio, id, plan, step)
    now = utc_now()
    run = Run(
        id=id, name=name, base_model="builtin", dataset=dataset, method="lora", state=state, step=step, steps=24, epoch=1, attempt_epoch=1, attempt=1,
        loss=4.1 if step else None, heldout_loss=0.8 if step else None, base_heldout_loss=4.6 if step else None, sparkline=[4.0, 3.0, 2.0] if step else [],
        started_at=now if step else None, ended_at=now if state in TERMINAL else None, problem=problem, fix=problem and "Halve the batch.", **values,
    )  # fmt: skip
    with studio.database.write() as session:
        session.add(run)
        session.flush()
        session.add(
            RunEvent(
                run_id=id, epoch=0, from_state=None, to_state=Status.QUEUED, by="local", text="Waiting for a device."
            )
        )
        session.add(
            RunEvent(run_id=id, epoch=1, from_state=Status.QUEUED, to_state=state, by="runner", text="It went on.")
        )
        if state is Status.SUCCEEDED:
            session.add(_adapter(studio, run, plan))
    return id


def _files(studio: Studio, id: str, plan: TrainingPlan, steps: int) -> None:
    folder = studio.data.run(id).create()
    write_json(folder.plan, plan.model_dump(mode="json"))
    write_json(folder.resolved, RESOLVED)
    attempt = folder.attempt(1).create()
    lines = [{"step": 0, "heldout_loss": 4.6}]
    for step in range(1, steps + 1):
        line = {
            "step": step,
            "steps": 24,
            "epoch": step / 8,
            "loss": 4 * math.exp(-step / 9) + 0.5,
            "learning_rate": 1e-3,
            "at": 1.0 + step,
        }
        lines.append({**line, "tokens_per_second": 900.0, "tokens": 500, "seconds": 0.5, "memory_bytes": 400_000_000})
        lines += [{"step": step, "heldout_loss": 4.6 - step / 8}] if step % 8 == 0 else []
    attempt.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answers = [
        {"step": 0, "prompt": NASTY, "answer": "I am a model."},
        {"step": 8, "prompt": NASTY, "answer": f"Arr! {NASTY}"},
    ]
    attempt.samples.write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    attempt.log.write_text("".join(f"12:00:{step:02d}  Step {step} of 24. {NASTY}\n" for step in range(steps)))


def _adapter(studio: Studio, run: Run, plan: TrainingPlan) -> Adapter:
    folder = studio.data.adapter(run.id).create()
    base = {
        "id": "builtin",
        "name": NASTY,
        "source": "builtin",
        "location": "builtin",
        "architecture": "LlamaForCausalLM",
        "parameters": 5_868_800,
    }
    results = {
        "train_rows": 380,
        "heldout_rows": 20,
        "step": 24,
        "steps": 24,
        "trainable_parameters": 473_088,
        "seconds": 48.0,
        "device": "cpu",
    }
    passport = {
        "version": 1,
        "name": run.name,
        "base_model": base,
        "dataset": {"id": run.dataset, "name": NASTY, "rows": 400},
        "results": results,
    }
    write_json(
        folder.passport, {**passport, "method": plan.method.model_dump(mode="json"), "resolved": RESOLVED, "layers": 42}
    )
    folder.weights.write_bytes(b"\0" * 1000)
    return Adapter(
        id=run.id, name=run.name, base_model="builtin", run=run.id, method="lora", rank=16, size_bytes=1_900_000, sha256="cd" * 32, heldout_loss=0.8,
        base_heldout_loss=4.6,
    )  # fmt: skip
