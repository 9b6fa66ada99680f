"""Checkpoints as files: which a run has, whether one is whole, and what is done with those that are not. Needs no torch.

checkpoints/step-<n>/        complete: its manifest.json names every file with size and sha256, and was written last
checkpoints/.tmp-<n>-<...>/  being written, or left by a write that was cut off
checkpoints/.aside-<n>-<...>/  a run went on without it, because it was damaged or the person wanted it so
"""

import secrets
from collections.abc import Collection
from pathlib import Path

from studio import storage
from studio.files import read_json, sha256_of, write_json
from studio.folders import AttemptFolder, CheckpointFolder, RunFolder

BESIDE = (".tmp-*", ".aside-*")  # no checkpoints: dropped when the next one is saved


def seal(folder: CheckpointFolder, step: int, plan_hash: str) -> None:
    """Write the manifest of everything in the folder, after all of it is on the disk. Raises OSError."""
    storage.sync_below(folder.path)
    written = sorted(path for path in folder.path.rglob("*") if path.is_file())
    files = {
        str(path.relative_to(folder.path)): {"size": path.stat().st_size, "sha256": sha256_of(path)} for path in written
    }
    write_json(folder.manifest, {"step": step, "plan": plan_hash, "files": files})
    storage.sync(folder.path)


def checkpoints_until(attempt: AttemptFolder) -> list[CheckpointFolder]:
    """Checkpoints of this run, newest first. Those of a later attempt are not ours to touch."""
    found = [
        path for each in attempts_until(attempt) for path in each.checkpoints.glob("step-*") if path.name[5:].isdigit()
    ]
    found.sort(key=lambda path: (step_of(path), number_of(AttemptFolder(path.parent.parent))), reverse=True)
    return [CheckpointFolder(path) for path in found]


def newest_checkpoint(
    attempt: AttemptFolder, plan_hash: str, needed: Collection[str] = ()
) -> tuple[CheckpointFolder | None, list[str]]:
    """The newest whole checkpoint of this run up to this attempt, and a sentence for each one passed over."""
    passed_over = []
    for folder in checkpoints_until(attempt):
        fault = fault_of(folder, plan_hash, needed)
        if fault is None:
            return folder, passed_over
        passed_over.append(f"The checkpoint {name_of(folder)} cannot be used: {fault}.")
    return None, passed_over


def fault_of(
    folder: CheckpointFolder, plan_hash: str | None = None, needed: Collection[str] = (), by_content: bool = True
) -> str | None:
    """Why a checkpoint cannot be used, or None when it is whole.

    `needed`: files without which there is none. Without `by_content` only names and sizes are looked at: quick, whatever its size.
    """
    try:
        manifest = read_json(folder.manifest)
        if manifest is None:
            return "its manifest is missing"
        if plan_hash is not None and manifest["plan"] != plan_hash:
            return "it belongs to another plan"
        if manifest["step"] != step_of(folder.path):
            return "its manifest is that of another step"
        expected = {name: (listed["size"], listed["sha256"]) for name, listed in manifest["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its manifest is damaged"
    except OSError as error:
        return f"its manifest cannot be read ({error.strerror})"
    if absent := sorted(set(needed) - expected.keys()):
        return f"its manifest does not name {absent[0]}"
    for name, (size, sha256) in expected.items():
        if fault := _fault_of_file(folder.path / name, name, size, sha256 if by_content else None):
            return fault
    return None


def _fault_of_file(path: Path, name: str, size: int, sha256: str | None) -> str | None:
    try:
        if not path.is_file():
            return f"{name} is missing"
        same = path.stat().st_size == size and (sha256 is None or sha256_of(path) == sha256)
        return None if same else f"{name} is damaged"
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"


def has_whole_checkpoint(run: RunFolder) -> bool:
    """As far as names and sizes tell; who goes on from one reads all of it."""
    return any(fault_of(folder, by_content=False) is None for folder in run.checkpoints().values())


def set_aside(folders: Collection[CheckpointFolder]) -> None:
    """The run goes on without these: they are in nobody's way any more, and dropped when the next one is saved. Raises OSError."""
    for folder in folders:
        beside = f".aside-{step_of(folder.path)}-{secrets.token_hex(4)}"
        storage.rename(folder.path, folder.path.with_name(beside))


def drop_leftovers(attempt: AttemptFolder) -> None:
    """Of saves that were cut off, and what was set aside."""
    for each in attempts_until(attempt):
        for pattern in BESIDE:
            for left in each.checkpoints.glob(pattern):
                storage.remove(left)


def attempts_until(attempt: AttemptFolder) -> list[AttemptFolder]:
    """This attempt and those before it."""
    return [each for each in attempt.run.attempts() if number_of(each) <= number_of(attempt)]


def name_of(folder: CheckpointFolder) -> str:
    """As logs say it: "attempt-1/step-8"."""
    return f"{folder.path.parent.parent.name}/{folder.path.name}"


def step_of(path: Path) -> int:
    return int(path.name[5:])


def number_of(attempt: AttemptFolder) -> int:
    return int(attempt.path.name.rpartition("-")[2])
