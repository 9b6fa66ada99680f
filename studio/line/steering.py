"""What people change in the line: a run's priority, and which of their own runs goes first."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.errors import Conflict, NotFound
from studio.line.order import LINE_AT, WAITING, administers, check_priority
from studio.records import LOCAL_PERSON, Run, Status
from studio.studio import Studio
from studio.transitions import tell


def set_priority(studio: Studio, run_id: str, priority: int, by: str = LOCAL_PERSON) -> Run:
    """Of a run that waits or is paused: its owner may lower it, an administrator may raise it too. Raises NotFound, Conflict or Invalid."""
    with studio.database.write() as session:
        run = _steerable(session, run_id, by, (*WAITING, Status.PAUSED))
        if run.priority != priority:
            check_priority(session, by, priority, run.priority)
            tell(session, run, f"Its priority was changed from {run.priority} to {priority}.", by=by)
            run.priority = priority
        return run


def move_first(studio: Studio, run_id: str, by: str = LOCAL_PERSON) -> Run:
    """Before the same owner's other waiting runs, on the place of the first of them; everybody else's place stays.

    Raises NotFound, or Conflict when it does not wait or another of the owner's runs has a higher priority.
    """
    with studio.database.write() as session:
        run = _steerable(session, run_id, by, WAITING)
        mine = Run.owner == run.owner, Run.state.in_(WAITING)
        own = session.scalars(select(Run).where(*mine).order_by(Run.priority.desc(), LINE_AT, Run.id)).all()
        if own[0].priority > run.priority:
            raise Conflict(
                f"'{own[0].name}' has a higher priority ({own[0].priority}, and this one {run.priority}).",
                "Lower that run's priority first.",
            )
        same = [each for each in own if each.priority == run.priority]
        if same[0] is not run:
            for each in same:
                each.reserved_at = None
            _to_front(same[: same.index(run) + 1])
            tell(session, run, "Moved before its owner's other waiting runs.", by=by)
        return run


def _to_front(line: list[Run]) -> None:
    """The last one takes the place of the first, and each of the others that of the next."""
    at = [run.line_at or run.queued_at for run in line]
    for run, place in zip((line[-1], *line[:-1]), at, strict=True):
        run.line_at = place


def _steerable(session: Session, run_id: str, who: str, states: Collection[Status]) -> Run:
    run = session.get(Run, run_id)
    if run is None:
        raise NotFound("run", run_id)
    if run.owner != who and not administers(session, who):
        raise Conflict(
            f"The run '{run.name}' belongs to somebody else.",
            "Only its owner, or somebody who administers the studio, may do that.",
        )
    if run.state not in states:
        raise Conflict(
            f"The run is {run.state.value.replace('_', ' ')} and stands in no line.",
            "Only a run that waits for a device can be moved.",
        )
    return run
