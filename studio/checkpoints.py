"""Checkpoints as adapters: what a run had learned at a step it saved, kept for a comparison when the run drops it."""

import contextlib
import os
import secrets
import shutil
from pathlib import Path

from studio.errors import Conflict, NotFound, clip
from studio.files import read_json
from studio.folders import CheckpointFolder
from studio.records import Run, Status
from studio.studio import Studio

MOST_KEPT = 16  # checkpoints that were asked; the one not asked for longest goes first
WEIGHTS = "adapter/adapter_model.safetensors"


def steps_of(studio: Studio, run: str, owner: str) -> list[int]:
    """Steps of the checkpoints that can be asked now, in order. Raises NotFound for a run that is not there or another person's."""
    get_run(studio, run, owner)
    return sorted(step for step, folder in studio.data.run(run).checkpoints().items() if _sha256(folder))


def get_run(studio: Studio, id: str, owner: str) -> Run:
    with studio.database.read() as session:
        run = session.get(Run, id)
    if run is None or run.owner != owner:
        raise NotFound("run", id)
    return run


def kept(studio: Studio, run: Run, step: int, field: str) -> str:
    """The name, in the chat folder, of a copy of this checkpoint's adapter. (Copies are links: they take room only once the run drops its own.)

    Raises Conflict when the run does not keep it and nobody has asked it before.
    """
    folder = studio.data.run(run.id).checkpoints().get(step)
    sha256 = folder and _sha256(folder)
    if sha256:
        name = f"{run.id}-{step}-{sha256[:16]}"
        with contextlib.suppress(FileNotFoundError):  # the training drops it while it is being linked
            _link(folder, studio.data.chat.checkpoint(name).path)
    place = studio.data.chat.checkpoints
    copies = sorted(place.glob(f"{run.id}-{step}-*"), key=lambda path: path.stat().st_mtime)
    if not copies:
        raise Conflict(_why_not(studio, run, step, folder), "Choose another checkpoint.", field)
    os.utime(copies[-1])
    _drop_old(place)
    return copies[-1].name


def are_lost(studio: Studio, run: Run) -> bool:
    """Whether it is paused because it had checkpoints and none can be used: only the person can say that it shall start over."""
    result = studio.data.run(run.id).attempt(run.attempt_epoch).result
    return run.state is Status.PAUSED and read_json(result, {}).get("kind") == "no_checkpoint"


def forget(studio: Studio, run: str) -> None:
    """Remove what was kept of a run that is deleted."""
    for path in studio.data.chat.checkpoints.glob(f"{run}-*"):
        shutil.rmtree(path, ignore_errors=True)


def _link(checkpoint: CheckpointFolder, copy: Path) -> None:
    if copy.exists():
        return
    writing = copy.parent / f".{secrets.token_hex(6)}"
    try:
        shutil.copytree(checkpoint.adapter.path, writing, copy_function=_link_or_copy)
        with contextlib.suppress(OSError):  # another question has just put the same there
            os.rename(writing, copy)
    except shutil.Error:  # what copytree makes of files that vanish under it
        raise FileNotFoundError(checkpoint.path) from None
    finally:
        shutil.rmtree(writing, ignore_errors=True)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(source, target)


def _drop_old(place: Path) -> None:
    copies = sorted(place.glob("[!.]*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in copies[MOST_KEPT:]:
        shutil.rmtree(path, ignore_errors=True)


def _sha256(folder: CheckpointFolder) -> str | None:
    """Of its adapter's weights; None for a checkpoint without an adapter, or one that is being dropped."""
    with contextlib.suppress(ValueError, OSError, TypeError, KeyError):
        return read_json(folder.manifest, {})["files"][WEIGHTS]["sha256"]
    return None


def _why_not(studio: Studio, run: Run, step: int, folder: CheckpointFolder | None) -> str:
    if folder is not None and folder.manifest.exists():
        return (
            f"The checkpoint of step {step} of '{clip(run.name)}' was saved by an earlier version and holds no adapter."
        )
    steps = steps_of(studio, run.id, run.owner)
    keeps = f"it keeps those of {', '.join(map(str, steps))}" if steps else "it keeps none"
    return f"'{clip(run.name)}' has no checkpoint of step {step} now: {keeps}."
