"""The runner's side of the queue: claim the next run with its devices, take runs over, note progress, settle. One transaction each."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from studio.line.cards import card_of
from studio.line.devices import choose, free_for_whole, suite_before
from studio.notifications import outbox
from studio.records import LIVE, Adapter, Device, Run, Status, utc_now
from studio.studio import Studio
from studio.transitions import RUNNER, move

LEASE = timedelta(seconds=30)
HEARTBEAT_SECONDS = 5
ALIVE = timedelta(seconds=20)  # a runner that was not seen for longer is taken for absent


def heartbeat(studio: Studio, runner: str) -> None:
    """Say that this runner lives, and hold its leases."""
    now = utc_now()
    with studio.database.write() as session:
        session.execute(update(Device).values(seen_at=now))
        session.execute(update(Run).where(Run.runner == runner, Run.state.in_(LIVE)).values(lease_until=now + LEASE))


def say_goodbye(studio: Studio) -> None:
    """The runner ends: nobody need wait for its heartbeat to run out."""
    with studio.database.write() as session:
        session.execute(update(Device).values(seen_at=utc_now() - timedelta(days=1)))


def runner_seen(session: Session) -> bool:
    seen = session.scalar(select(func.max(Device.seen_at)))
    return (
        seen is not None and abs(utc_now() - seen) < ALIVE
    )  # a clock that was set back must not make it look alive for ever


def claim_next(studio: Studio, runner: str, usable: Sequence[str]) -> tuple[Run, list[str]] | None:
    """T2: the run at the head of the line with its devices' slots, or None when it must wait for them or nobody waits.

    The head of the line is not overtaken while it waits for devices, so that a large run never starves; one that wants
    more devices than there are (`usable`: their ids), or than others' processes leave it, is passed over.
    """
    with studio.database.read() as session:
        head = choose(session, usable)
        if head is None or (head.slots is None and head.run.reserved_at is not None):
            return None  # the usual case takes no write lock
    with studio.database.write() as session:
        if (head := choose(session, usable)) is None:
            return None
        if head.slots is None:
            head.run.reserved_at = head.run.reserved_at or utc_now()
            return None
        return _start(session, runner, *head), head.slots


def _start(session: Session, runner: str, run: Run, taken: Sequence[str]) -> Run:
    names = session.scalars(select(Device.name).where(Device.id.in_(taken)))
    text = f"{'Started again' if run.attempt else 'Started'} on {', '.join(names)}{_beside(session, run, taken)}."
    return move(
        session, run.id, run.epoch, (run.state,), Status.STARTING, RUNNER, text, take=taken, fence=True, attempt_epoch=run.epoch + 1, attempt=run.attempt + 1,
        runner=runner, lease_until=utc_now() + LEASE, not_before=None, reserved_at=None, pid=None, pid_start=None, boot_id=None, problem=None, fix=None,
    )  # fmt: skip


def _beside(session: Session, run: Run, taken: Sequence[str]) -> str:
    """Whom it shares a device with, for its history."""
    cards = {card_of(slot) for slot in taken}
    held = session.execute(select(Device.id, Run.name).join(Run, Run.id == Device.run_id).where(Run.id != run.id))
    names = sorted({name for slot, name in held if card_of(slot) in cards})
    return f", beside {' and '.join(repr(name) for name in names)}" if names else ""


def wants_chat_to_leave(studio: Studio, usable: Sequence[str]) -> bool:
    """Whether the run at the head of the line, or a suite, waits for nothing but the chat worker's device."""
    with studio.database.read() as session:
        if session.scalar(select(Device.id).where(Device.chat.is_not(None)).limit(1)) is None:
            return False
        if suite_before(session, utc_now()) and free_for_whole(session, usable) is None:
            return True
        now, then = choose(session, usable), choose(session, usable, chat_leaves=True)
        return now is not None and now.slots is None and then is not None and then.slots is not None


def live_runs(studio: Studio, runner: str) -> list[Run]:
    """Those of this runner. It changes no other's: one that was taken over is its successor's."""
    with studio.database.read() as session:
        return list(session.scalars(select(Run).where(Run.state.in_(LIVE), Run.runner == runner).order_by(Run.id)))


def devices_of(studio: Studio, run_id: str) -> list[str]:
    with studio.database.read() as session:
        return list(session.scalars(select(Device.id).where(Device.run_id == run_id).order_by(Device.id)))


def adopt(studio: Studio, runner: str) -> list[Run]:
    """T15: take over every live run of a runner that is no more. The caller holds the runner's lock, so no other one lives."""
    with studio.database.write() as session:
        orphans = session.scalars(
            select(Run).where(Run.state.in_(LIVE), or_(Run.runner.is_(None), Run.runner != runner))
        ).all()
        return [
            move(
                session, run.id, run.epoch, (run.state,), run.state, RUNNER, "The studio's runner was started again and looks after this run from now on; nothing of it was lost.",
                fence=True, runner=runner, lease_until=utc_now() + LEASE,
            )
            for run in orphans
        ]  # fmt: skip


def mark_running(studio: Studio, run: Run, pid: int, pid_start: float, boot_id: str) -> Run:
    """T3: the supervisor has said who it is."""
    with studio.database.write() as session:
        return move(
            session, run.id, run.epoch, (Status.STARTING,), Status.RUNNING, RUNNER, "Its process is there: the model and the data are loaded, then it trains.",
            pid=pid, pid_start=pid_start, boot_id=boot_id, started_at=run.started_at or utc_now(),
        )  # fmt: skip


def note_progress(studio: Studio, run: Run, values: dict[str, Any]) -> None:
    """Columns that lists show. Nothing happens when the run has another epoch by now."""
    with studio.database.write() as session:
        session.execute(
            update(Run).where(Run.id == run.id, Run.epoch == run.epoch, Run.state.in_(LIVE)).values(**values)
        )


def settle(studio: Studio, run: Run, to: Status, text: str, adapter: Adapter | None = None, **values: Any) -> Run:
    """T5, T10, T11, T13, T14: nothing of the run's process tree lives.

    A trained adapter's row, and what is to be told of the end, appear in the same transaction.

    Raises Stale when a person has wanted something else of it since `run` was read: what follows from its end may differ then.
    """
    with studio.database.write() as session:
        if adapter is not None:
            session.merge(adapter)
        ended = {} if to in (Status.PAUSED, Status.RETRY_WAIT) else {"ended_at": utc_now()}
        over = dict.fromkeys(("runner", "lease_until", "pid", "pid_start", "boot_id", "seconds_left"))
        moved = move(session, run.id, run.epoch, (run.state,), to, RUNNER, text, **{**values, **ended, **over})
        outbox.put(session, studio.settings, run, moved, to, text)
        return moved
