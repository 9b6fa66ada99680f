"""A small studio in which all is well: one data set, one base model, runs in several states with checkpoints, and an adapter."""

import json
import os
from pathlib import Path

from studio import base_models, datasets
from studio.files import sha256_of, write_json
from studio.folders import CheckpointFolder, RunFolder
from studio.line.devices import see_devices
from studio.plan import TrainingPlan
from studio.records import TERMINAL, Adapter, Run, Status, utc_now
from studio.settings import StudioSettings
from studio.studio import Studio
from tests.model_folders import tiny_llama


def healthy_studio(folder: Path) -> Studio:
    """Opened; made under the rights that the studio gives its files."""
    before = os.umask(0o077)
    try:
        studio = Studio.open(StudioSettings(data_folder=folder))
        tiny_llama(studio.settings.models_root / "tiny")
        model = base_models.add_local(studio, "tiny", "Tiny")
        file = folder / "rows.jsonl"
        file.write_text("".join(json.dumps({"instruction": f"Say {n}", "output": f"{n}."}) + "\n" for n in range(8)))
        dataset = datasets.add_upload(studio, file, "rows.jsonl", "Numbers")
        file.unlink()
        see_devices(studio, [("cpu", "CPU", 2**30)])
        for id, state in (("done", Status.SUCCEEDED), ("paused", Status.PAUSED), ("waits", Status.QUEUED)):
            leave_run(studio, id, state, model.id, dataset.id)
        leave_adapter(studio, "done", model.id)
    finally:
        os.umask(before)
    return studio


def leave_run(
    studio: Studio, id: str, state: Status, model: str, dataset: str, steps: tuple[int, ...] = (4, 8), **columns
) -> Run:
    folder = studio.data.run(id).create()
    write_json(folder.plan, TrainingPlan(name=id, base_model=model, dataset=dataset).model_dump(mode="json"))
    begun = state is not Status.QUEUED
    if begun:
        attempt = folder.attempt(1).create()
        attempt.metrics.write_text(json.dumps({"step": 1, "loss": 2.0}) + "\n")
        attempt.log.write_text("Step 1.\n")
        for step in steps:
            leave_checkpoint(folder, step)
    ended = utc_now() if state in TERMINAL else None
    run = Run(**{
        "id": id, "name": id, "base_model": model, "dataset": dataset, "method": "lora", "state": state, "steps": 8, "step": 8 * begun, "epoch": int(begun),
        "attempt_epoch": int(begun), "attempt": int(begun), "ended_at": ended, **columns,
    })  # fmt: skip
    with studio.database.write() as session:
        session.add(run)
    return run


def leave_checkpoint(run: RunFolder, step: int, attempt: int = 1, size: int = 5000) -> CheckpointFolder:
    folder = CheckpointFolder(run.attempt(attempt).checkpoints / f"step-{step}")
    folder.adapter.path.mkdir(parents=True, mode=0o700)
    for name in ("optimizer.safetensors", "adapter/adapter_model.safetensors", "adapter/adapter_config.json"):
        (folder.path / name).write_bytes(f"{run.id} {step} {name} ".encode() * (size // 40))
    files = {
        str(path.relative_to(folder.path)): {"size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.path.rglob("*"))
        if path.is_file()
    }
    write_json(folder.manifest, {"step": step, "plan": "", "files": files})
    return folder


def leave_adapter(studio: Studio, run: str, model: str) -> None:
    folder = studio.data.adapter(run).create()
    folder.weights.write_bytes(b"weights")
    write_json(folder.config, {})
    with studio.database.write() as session:
        session.add(Adapter(id=run, name=run, base_model=model, run=run, method="lora", rank=4, size_bytes=7, sha256=sha256_of(folder.weights)))  # fmt: skip


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file but the database's and locks, with what it holds."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and not path.name.startswith("studio.sqlite")
        and path.suffix != ".lock"
    }
