"""Checkpoints: everything that a training needs to go on as if it had never stopped, complete on disk or not there at all.

    checkpoints/step-<n>/   adapter.safetensors    the parameters that are trained
                            optimizer.safetensors  AdamW's two averages and its step count, for each of them
                            best.safetensors       the parameters at the lowest held-out loss, where those are wanted
                            method.safetensors     what the method keeps besides, such as AdaLoRA's scores
                            state.json             step, tokens, losses so far, loss scale
                            adapter/               the parameters as PEFT saves them, so that they can be asked like any adapter
                            manifest.json          size and sha256 of each file, hash of the plan; written last

Random numbers need no saving: each step seeds them from the run's seed and its own number (train.py).
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from studio import checkpoint_files, storage
from studio.errors import Conflict
from studio.files import read_json, write_json
from studio.folders import AdapterFolder, AttemptFolder, CheckpointFolder

NEEDED = ("adapter.safetensors", "optimizer.safetensors", "state.json")
Tensors = dict[str, torch.Tensor]


@dataclass
class Saved:
    """What one checkpoint holds, in memory."""

    adapter: Tensors
    optimizer: Tensors
    state: dict
    best: Tensors | None = None
    method: Tensors = field(default_factory=dict)


class NoCheckpointLeft(Conflict):
    """There were checkpoints, and none can be used: whether to start over is for the person to say."""

    def __init__(self, why: list[str]):
        super().__init__(
            f"The training cannot go on from where it was. {' '.join(why)}",
            "Put the checkpoint back if you have a copy, and resume; or start over from the first step.",
        )


def save_checkpoint(
    attempt: AttemptFolder,
    step: int,
    plan_hash: str,
    saved: Saved,
    keep: int,
    write_adapter: Callable[[AdapterFolder], None] | None = None,
    spared: int | None = None,
) -> Path:
    """Write a checkpoint beside the others, rename it into place, then drop the oldest beyond `keep`, but for that of step `spared`.

    The disk may fill up or the power fail at any line: what is called step-<n> is complete. Raises OSError.
    """
    final = CheckpointFolder(attempt.checkpoints / f"step-{step}")
    if not attempt.checkpoints.exists():
        attempt.checkpoints.mkdir(parents=True)
        storage.sync(attempt.path)
    if final.path.exists():
        if checkpoint_files.fault_of(final, plan_hash, NEEDED) is None:
            return final.path  # saved a moment ago: a pause came right after it
        checkpoint_files.set_aside([final])
    checkpoint_files.drop_leftovers(attempt)
    writing = CheckpointFolder(attempt.checkpoints / f".tmp-{step}-{secrets.token_hex(4)}").create()
    write_saved(writing, saved)
    if write_adapter is not None:
        storage.reached("fill", writing.adapter.path)
        write_adapter(writing.adapter.create())
    checkpoint_files.seal(writing, step, plan_hash)
    storage.rename(writing.path, final.path)
    storage.sync(attempt.checkpoints)
    write_json(attempt.run.saved, {"step": step})
    for old in checkpoint_files.checkpoints_until(attempt)[keep:]:
        if checkpoint_files.step_of(old.path) != spared:
            storage.remove(old.path)
    return final.path


def write_saved(folder: CheckpointFolder, saved: Saved) -> None:
    parts = {"adapter": saved.adapter, "optimizer": saved.optimizer, "best": saved.best, "method": saved.method or None}
    for name, values in parts.items():
        if values is not None:
            whole = {key: value.detach().cpu().contiguous() for key, value in values.items()}
            storage.reached("write", folder.path / f"{name}.safetensors")
            save_file(whole, folder.path / f"{name}.safetensors")
    write_json(folder.path / "state.json", saved.state)


def to_go_on_from(
    attempt: AttemptFolder, plan_hash: str
) -> tuple[CheckpointFolder | None, list[CheckpointFolder], list[str]]:
    """The checkpoint to go on from (None: begin at the first step), those to be set aside first, and what is to be said of that.

    Changes nothing. Raises NoCheckpointLeft when there was one, none can be used, and the person has not said to start over.
    """
    every = checkpoint_files.checkpoints_until(attempt)
    if attempt.run.start_over.exists():
        return None, every, ["It starts over from the first step, as was wanted."]
    found, said = checkpoint_files.newest_checkpoint(attempt, plan_hash, NEEDED)
    aside = every if found is None else every[: [folder.path for folder in every].index(found.path)]
    last = last_saved(attempt)
    if last and last not in {checkpoint_files.step_of(folder.path) for folder in every}:
        said = [f"The checkpoint of step {last} is missing.", *said]
    if found is None and said:
        raise NoCheckpointLeft(said)
    return found, aside, said


def went_on(attempt: AttemptFolder, aside: list[CheckpointFolder]) -> None:
    """Once every process has read what it goes on from. Raises OSError."""
    checkpoint_files.set_aside(aside)
    if attempt.run.start_over.exists():
        attempt.run.saved.unlink(missing_ok=True)
        attempt.run.start_over.unlink()  # last: whoever is cut off before it starts over again


def last_saved(attempt: AttemptFolder) -> int | None:
    """The step of the last checkpoint that was saved; None when there never was one, or nobody wrote it down."""
    try:
        return read_json(attempt.run.saved, {}).get("step")
    except (ValueError, AttributeError):
        return None


def load_checkpoint(path: Path) -> Saved:
    best, method = path / "best.safetensors", path / "method.safetensors"
    return Saved(
        adapter=load_file(path / "adapter.safetensors"),
        optimizer=load_file(path / "optimizer.safetensors"),
        state=read_json(path / "state.json"),
        best=load_file(best) if best.exists() else None,
        method=load_file(method) if method.exists() else {},
    )


def hash_of(*values) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
