"""Runs in the queue of a test's studio, without the checks that queue_run makes."""

import json
from datetime import timedelta

from studio.files import write_json
from studio.folders import new_id
from studio.line.devices import see_devices
from studio.plan import TrainingPlan
from studio.records import BaseModel, Dataset, Device, Run, RunEvent, Status, utc_now
from studio.resolved_plan import ResolvedPlan
from studio.studio import Studio


def queued(studio: Studio, name: str = "pirate", does: dict | None = None, **columns) -> Run:
    """A queued run on a model and data that are there by name only; `does` is told to the stub worker."""
    return queued_together(studio, {name: does}, **columns)[0]


def queued_together(studio: Studio, wanted: dict[str, dict | None], **columns) -> list[Run]:
    """Several by their names, in this order, in one transaction: a runner finds all of them or none."""
    began = utc_now()
    made = [
        Run(
            **{
                "id": new_id(),
                "name": name,
                "base_model": "base",
                "dataset": "rows",
                "method": "lora",
                "steps": (does or {}).get("steps", 5),
                "queued_at": began + timedelta(microseconds=place),
                **columns,
            }
        )
        for place, (name, does) in enumerate(wanted.items())
    ]
    for run, does in zip(made, wanted.values(), strict=True):
        _freeze(studio, run, does)
    with studio.database.write() as session:
        if session.get(BaseModel, "base") is None:
            session.add(BaseModel(id="base", name="Small model", source="builtin", location="builtin"))
            session.add(
                Dataset(
                    id="rows",
                    name="Pirate talk",
                    source="upload",
                    file_name="a.jsonl",
                    format="alpaca",
                    rows=9,
                    size_bytes=9,
                    sha256="0" * 64,
                )
            )
            session.flush()
        for run in made:
            session.add(run)
            session.flush()
            session.add(
                RunEvent(run_id=run.id, epoch=0, to_state=run.state, by=run.owner, text="Waiting for a device.")
            )
    return made


def _freeze(studio: Studio, run: Run, does: dict | None) -> None:
    plan = TrainingPlan(name=run.name, base_model="base", dataset="rows", notes=json.dumps(does) if does else "")
    folder = studio.data.run(run.id).create()
    write_json(folder.plan, plan.model_dump(mode="json"))
    write_json(folder.resolved, resolved_plan().model_dump(mode="json"))


def resolved_plan(**changes) -> ResolvedPlan:
    """Numbers as a small run has them."""
    usual = {
        "device": "cpu", "precision": "fp32", "targets": ["q_proj"], "sequence_length": 64, "epochs": 1.0, "train_rows": 8, "heldout_rows": 0,
        "steps": 5, "warmup_steps": 0, "learning_rate": 1e-3, "batch_size": 8, "micro_batch": 8, "accumulation": 1, "token_budget": 512,
        "gradient_checkpointing": False, "evaluate_every": 5, "checkpoint_every": 5,
    }  # fmt: skip
    return ResolvedPlan.model_validate({**usual, **changes})


def with_devices(studio: Studio, *ids: str) -> None:
    see_devices(studio, [(id, id.upper(), 2**30) for id in ids])


def holders(studio: Studio) -> dict[str, str | None]:
    """Which run holds each device."""
    with studio.database.read() as session:
        return {device.id: device.run_id for device in session.query(Device)}


def state_of(studio: Studio, run: Run) -> Status:
    with studio.database.read() as session:
        return session.get(Run, run.id).state
