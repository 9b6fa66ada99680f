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
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from studio.files import read_json, sha256_of, write_json
from studio.folders import AdapterFolder, AttemptFolder, CheckpointFolder

MANIFEST = "manifest.json"
Tensors = dict[str, torch.Tensor]


@dataclass
class Saved:
    """What one checkpoint holds, in memory."""

    adapter: Tensors
    optimizer: Tensors
    state: dict
    best: Tensors | None = None
    method: Tensors = field(default_factory=dict)


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
    attempt.checkpoints.mkdir(parents=True, exist_ok=True)
    for left in attempt.checkpoints.glob(".tmp-*"):  # of a write that failed
        shutil.rmtree(left, ignore_errors=True)
    writing = attempt.checkpoints / f".tmp-{step}-{secrets.token_hex(4)}"
    writing.mkdir()
    tensors = {
        "adapter": saved.adapter,
        "optimizer": saved.optimizer,
        "best": saved.best,
        "method": saved.method or None,
    }
    for name, values in tensors.items():
        if values is not None:
            save_file(
                {key: value.detach().cpu().contiguous() for key, value in values.items()},
                writing / f"{name}.safetensors",
            )
            sync(writing / f"{name}.safetensors")
    write_json(writing / "state.json", saved.state)
    if write_adapter is not None:
        write_adapter(CheckpointFolder(writing).adapter.create())
    written = sorted(path for path in writing.rglob("*") if path.is_file())
    files = {
        str(path.relative_to(writing)): {"size": path.stat().st_size, "sha256": sha256_of(path)} for path in written
    }
    write_json(writing / MANIFEST, {"step": step, "plan": plan_hash, "files": files})
    sync(writing)
    final = attempt.checkpoints / f"step-{step}"
    if final.exists():  # the same step, saved again after a pause that came too late
        shutil.rmtree(final)
    os.rename(writing, final)
    sync(attempt.checkpoints)
    for old in checkpoints_until(attempt)[keep:]:
        if old.name == f"step-{spared}":
            continue
        shutil.rmtree(old, ignore_errors=True)
    return final


def newest_checkpoint(attempt: AttemptFolder, plan_hash: str) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint of this run up to this attempt, and a sentence for each one passed over."""
    passed_over = []
    for path in checkpoints_until(attempt):
        fault = fault_of(path, plan_hash)
        if fault is None:
            return path, passed_over
        passed_over.append(f"The checkpoint {path.parent.parent.name}/{path.name} cannot be used: {fault}.")
    return None, passed_over


def load_checkpoint(path: Path) -> Saved:
    best, method = path / "best.safetensors", path / "method.safetensors"
    return Saved(
        adapter=load_file(path / "adapter.safetensors"),
        optimizer=load_file(path / "optimizer.safetensors"),
        state=read_json(path / "state.json"),
        best=load_file(best) if best.exists() else None,
        method=load_file(method) if method.exists() else {},
    )


def checkpoints_until(attempt: AttemptFolder) -> list[Path]:
    """Checkpoints of this run, newest first. Those of a later attempt are not ours to touch."""
    number = int(attempt.path.name.rpartition("-")[2])
    found = []
    for each in attempt.run.attempts():
        if int(each.path.name.rpartition("-")[2]) <= number:
            found += [path for path in each.checkpoints.glob("step-*") if path.name[5:].isdigit()]
    return sorted(found, key=lambda path: (int(path.name[5:]), path.stat().st_mtime_ns), reverse=True)


def fault_of(path: Path, plan_hash: str) -> str | None:
    """Why a checkpoint cannot be used, or None when it is whole."""
    try:
        manifest = read_json(path / MANIFEST)
    except ValueError:
        return "its manifest is damaged"
    if manifest is None:
        return "its manifest is missing"
    if manifest.get("plan") != plan_hash:
        return "it belongs to another plan"
    for name, expected in manifest["files"].items():
        file = path / name
        if not file.exists():
            return f"{name} is missing"
        if file.stat().st_size != expected["size"] or sha256_of(file) != expected["sha256"]:
            return f"{name} is damaged"
    return None


def hash_of(*values) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def sync(path: Path) -> None:
    """Have the file, or the folder's list of names, on the disk before going on."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
