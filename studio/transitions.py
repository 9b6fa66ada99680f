"""The one function that moves a run from state to state: a compare-and-set that a stale caller loses, drawn in docs/states.md."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from studio.errors import Conflict
from studio.records import LIVE, Device, Run, RunEvent, Status

RUNNER = "runner"  # who moved it, when no person did


class Stale(Conflict):
    """The run has moved on since the caller looked: nothing was changed."""

    def __init__(self, run_id: str):
        super().__init__(
            f"The run '{run_id}' has changed in the meantime.",
            "Look at it again, and repeat what you wanted if it still applies.",
        )


@dataclass(frozen=True)
class Arrow:
    name: str
    sources: tuple[Status, ...]
    to: Status
    said: str
    """When a run moves along it, in one sentence; docs/states.md holds the same sentence."""


S = Status
ARROWS = (
    Arrow(
        "T2",
        (S.QUEUED, S.RETRY_WAIT),
        S.STARTING,
        "A runner claims it with its devices; epoch and attempt go up by one.",
    ),
    Arrow("T3", (S.STARTING,), S.RUNNING, "The supervisor has written who it is, so the training can be found again."),
    Arrow(
        "T4",
        (S.STARTING, S.RUNNING),
        S.PAUSING,
        "The person pauses it, or stops it to keep what there is; the worker is asked to save and end.",
    ),
    Arrow(
        "T5",
        (S.PAUSING, S.STARTING, S.RUNNING),
        S.PAUSED,
        "Nothing of the worker lives and its devices are free; unasked only when the disk is full or no checkpoint can be used.",
    ),
    Arrow("T6", (S.QUEUED, S.RETRY_WAIT), S.PAUSED, "The person pauses it before it has a device."),
    Arrow("T7", (S.PAUSED,), S.QUEUED, "The person resumes it; it goes on from its last complete checkpoint."),
    Arrow("T8", (S.QUEUED, S.RETRY_WAIT, S.PAUSED), S.CANCELLED, "The person cancels it while nothing of it lives."),
    Arrow(
        "T9",
        (S.STARTING, S.RUNNING, S.PAUSING),
        S.CANCELLING,
        "The person cancels it; the worker is asked to end, and killed after 30 seconds.",
    ),
    Arrow(
        "T10",
        (S.CANCELLING, S.PAUSING),
        S.CANCELLED,
        "Nothing of the worker lives; from pausing when it was stopped before its first step.",
    ),
    Arrow(
        "T11",
        LIVE,
        S.SUCCEEDED,
        "The worker ended well and its adapter is complete and finite; this wins over a late cancel.",
    ),
    Arrow(
        "T12",
        (S.STARTING, S.RUNNING),
        S.RETRY_WAIT,
        "Memory ran out and something is left to try: gradient checkpointing, then half the rows at once; six times at most.",
    ),
    Arrow(
        "T13",
        (S.STARTING, S.RUNNING),
        S.RETRY_WAIT,
        "The worker ended in a way that may pass, and attempts are left; it waits 2, 4, 8 ... seconds.",
    ),
    Arrow("T14", (S.STARTING, S.RUNNING, S.PAUSING), S.FAILED, "The worker failed; the run says why and what to do."),
    *(
        Arrow(
            "T15",
            (live,),
            live,
            "A runner that was started again takes it over; the epoch goes up by one, the attempt stays.",
        )
        for live in LIVE
    ),
)
ALLOWED = frozenset((source, arrow.to) for arrow in ARROWS for source in arrow.sources)


def move(
    session: Session, run_id: str, epoch: int, sources: Collection[Status], to: Status, by: str, text: str = "",
    *, fence: bool = False, take: Sequence[str] | None = None, **values: Any,
) -> Run:  # fmt: skip
    """Move the run to `to`, if it is still at this epoch and in one of `sources`; otherwise raise Stale and change nothing.

    In the caller's transaction (Database.write): the row with `values`, its devices and one event, all or nothing. `take`
    names device ids that the run gets, all free ones. A run that is no longer live gives its devices back. `fence` raises
    the epoch by one, so that whoever still holds the old one changes nothing any more.
    """
    found = session.scalar(select(Run.state).where(Run.id == run_id, Run.epoch == epoch))
    if found is None or found not in sources:
        raise Stale(run_id)
    if (found, to) not in ALLOWED:
        raise ValueError(f"no arrow leads from {found} to {to}")  # a bug in the caller, not a race
    new_epoch = epoch + fence
    changed = session.execute(
        update(Run)
        .where(Run.id == run_id, Run.epoch == epoch, Run.state == found)
        .values(state=to, epoch=new_epoch, **values)
        .execution_options(synchronize_session=False)
    )
    if _rows(changed) != 1:
        raise Stale(run_id)
    _hold_devices(session, run_id, new_epoch, to, take)
    session.add(RunEvent(run_id=run_id, epoch=new_epoch, from_state=found, to_state=to, by=by, text=text))
    session.flush()
    return session.get_one(Run, run_id, populate_existing=True)


def tell(session: Session, run: Run, text: str, by: str = RUNNER) -> None:
    """One thing worth knowing about a run whose state stays. Raises Stale when it has moved on since `run` was read."""
    state = session.scalar(select(Run.state).where(Run.id == run.id, Run.epoch == run.epoch))
    if state is None:
        raise Stale(run.id)
    session.add(RunEvent(run_id=run.id, epoch=run.epoch, from_state=state, to_state=state, by=by, text=text))


def _hold_devices(session: Session, run_id: str, epoch: int, to: Status, take: Sequence[str] | None) -> None:
    """Devices are held exactly while a run is live, at its epoch."""
    held = update(Device).execution_options(synchronize_session=False)
    unused = (Device.run_id.is_(None), Device.suite_run.is_(None), Device.chat.is_(None))
    if to not in LIVE:
        session.execute(held.where(Device.run_id == run_id).values(run_id=None, epoch=None))
    elif take is None:
        session.execute(held.where(Device.run_id == run_id).values(epoch=epoch))
    elif _rows(session.execute(held.where(Device.id.in_(take), *unused).values(run_id=run_id, epoch=epoch))) != len(
        take
    ):
        raise Stale(run_id)


def _rows(result: CursorResult) -> int:
    return result.rowcount
