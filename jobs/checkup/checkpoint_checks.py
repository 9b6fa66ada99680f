"""Checkpoints that a crash left half-written go; those whose files are not what their manifest says are set aside."""

from pathlib import Path

from sqlalchemy import select

from jobs.checkup.finding import Checkup, named
from studio.checkpoint_files import fault_of
from studio.folders import CheckpointFolder, RunFolder
from studio.records import LIVE, TERMINAL, Run, Status


def check_checkpoints(checkup: Checkup) -> None:
    """Of runs that nothing writes to now: a live one cleans up after itself."""
    with checkup.studio.database.read() as session:
        runs = list(session.scalars(select(Run).where(Run.state.not_in(LIVE)).order_by(Run.id)))
    for run in runs:
        folder = checkup.studio.data.run(run.id)
        gone = (".tmp-", ".aside-") if run.state in TERMINAL else (".tmp-",)
        half = [path for path in _checkpoints(checkup, folder) if path.name.startswith(gone)]
        if half:
            checkup.remove(f"Half-written or discarded checkpoints of the run {named(run.name)}: {len(half)}.", half)
        _check_whole(checkup, run, folder)


def _check_whole(checkup: Checkup, run: Run, folder: RunFolder) -> None:
    kept = 0
    for path in _checkpoints(checkup, folder):
        if not path.name.startswith("step-"):
            continue
        damage = (
            fault_of(CheckpointFolder(path), by_content=not checkup.quick)
            if path.name[5:].isdigit()
            else "its name tells no step"
        )
        if damage is None:
            kept += 1
            continue
        checkup.set_aside(
            f"The checkpoint of step {path.name[5:]} of the run {named(run.name)} cannot be used: {damage}.", path
        )
    if run.state is Status.PAUSED and run.step and not kept:
        checkup.ask(
            f"The run {named(run.name)} ({run.id}) has no whole checkpoint left to go on from.",
            "Put one back from a backup before you resume it, or cancel the run and train again.",
        )


def _checkpoints(checkup: Checkup, run: RunFolder) -> list[Path]:
    return [path for attempt in checkup.attempts(run) for path in checkup.folders_in(attempt.checkpoints)]
