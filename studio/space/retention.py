"""Which checkpoints of ended runs may go, and when: a run keeps all that its plan kept for some days, the newest runs their best and last beyond that.

Never those of a run that waits, trains or is paused, and never one that a comparison on the Compare page still asks.
An adapter that was made of a checkpoint has files of its own.
"""

import secrets
import shutil
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from studio.files import read_json
from studio.folders import CheckpointFolder
from studio.records import TERMINAL, Comparison, Run, utc_now
from studio.space import usage
from studio.space.own import own_folders
from studio.studio import Studio
from studio.transitions import RUNNER, tell

GIB = 2**30


@dataclass(frozen=True)
class Spare:
    """Checkpoints of one run that may go."""

    run: Run
    folders: tuple[CheckpointFolder, ...]
    bytes: int
    """That come free with them."""

    @property
    def steps(self) -> list[int]:
        return sorted({int(folder.path.name[5:]) for folder in self.folders})


def spare(studio: Studio, now: datetime | None = None, at_once: bool = False) -> list[Spare]:
    """What may go today; `at_once`: what may go when room is wanted, whatever the days."""
    settings = studio.settings
    days = timedelta(days=0 if at_once else settings.keep_checkpoints_days)
    needed, found = _asked_by_comparisons(studio), []
    for place, run in _ended_newest_first(studio):
        if (now or utc_now()) - (run.ended_at or run.queued_at) < days:
            continue
        kept = needed[run.id] | (_best_and_last(studio, run) if place < settings.keep_checkpoints_runs else set())
        folders = [folder for folder in checkpoints_of(studio, run.id) if int(folder.path.name[5:]) not in kept]
        if folders:
            size = sum(usage.freed_by(folder.path) for folder in folders)
            found.append(Spare(run, tuple(folders), size))
    return found


def let_go(studio: Studio, found: list[Spare], by: str = RUNNER) -> int:
    """Delete them, and say so in each run's history. Returns the bytes that came free."""
    freed = 0
    for each in found:
        gone = [folder for folder in each.folders if _dropped(folder)]
        if gone:
            _tell(studio, each, gone, by)
            freed += each.bytes
    usage.forget(studio)
    return freed


def checkpoints_of(studio: Studio, run: str) -> list[CheckpointFolder]:
    """All that it has, of every attempt; none that lies behind a link."""
    attempts = own_folders(studio.data.path, (attempt.path for attempt in studio.data.run(run).attempts()))
    paths = (path for attempt in attempts for path in attempt.glob("checkpoints/step-*") if path.name[5:].isdigit())
    return [CheckpointFolder(path) for path in own_folders(studio.data.path, paths)]


def _dropped(folder: CheckpointFolder) -> bool:
    """Under another name first: a crash on the way leaves nothing that looks like a checkpoint."""
    gone = folder.path.with_name(f".aside-{folder.path.name[5:]}-{secrets.token_hex(4)}")
    try:
        folder.path.rename(gone)
    except OSError:  # the run was deleted meanwhile, or its folder cannot be written to
        return False
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _tell(studio: Studio, each: Spare, gone: list[CheckpointFolder], by: str) -> None:
    steps = sorted({int(folder.path.name[5:]) for folder in gone})
    which = f"step {steps[0]:,}" if len(steps) == 1 else f"the steps {', '.join(f'{step:,}' for step in steps)}"
    text = f"To free space, {'its checkpoint' if len(steps) == 1 else 'its checkpoints'} of {which} {'was' if len(steps) == 1 else 'were'} deleted: {each.bytes / GIB:.2f} GiB."
    with studio.database.write() as session:
        run = session.get(Run, each.run.id)
        if run is not None:
            tell(session, run, text, by)


def _ended_newest_first(studio: Studio) -> list[tuple[int, Run]]:
    """Ended runs with their place among their owner's, 0 for the newest."""
    with studio.database.read() as session:
        ended = session.scalars(
            select(Run).where(Run.state.in_(TERMINAL)).order_by(Run.ended_at.desc(), Run.queued_at.desc(), Run.id)
        ).all()
    seen: dict[str, int] = defaultdict(int)
    placed = []
    for run in ended:
        placed.append((seen[run.owner], run))
        seen[run.owner] += 1
    return placed


def _best_and_last(studio: Studio, run: Run) -> set[int]:
    steps = {int(folder.path.name[5:]) for folder in checkpoints_of(studio, run.id)}
    try:
        best = read_json(studio.data.run(run.id).attempt(run.attempt_epoch).result, {}).get("best_step")
    except (ValueError, AttributeError, OSError):
        best = None
    return {max(steps, default=0), best or 0} & steps


def _asked_by_comparisons(studio: Studio) -> dict[str, set[int]]:
    """Run → steps that a stored comparison has as a column."""
    needed: dict[str, set[int]] = defaultdict(set)
    with studio.database.read() as session:
        for request in session.scalars(select(Comparison.request)):
            for column in request.get("columns") or []:
                if asked := column.get("checkpoint"):
                    needed[asked["run"]].add(asked["step"])
    return needed
