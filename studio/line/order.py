"""Who is next: priority, then who stands at the head already, then owners with fewest devices in use, then age."""

from datetime import timedelta

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from studio.errors import Invalid
from studio.line.cards import Need
from studio.records import Device, Person, Run, Status, Want, utc_now

LONGEST_WAIT = timedelta(seconds=300)  # between two attempts
WAITING = (Status.QUEUED, Status.RETRY_WAIT)
LINE_AT = func.coalesce(Run.line_at, Run.queued_at)  # since when it stands there, as far as the order goes


def waiting(devices: int, due: bool = True) -> Select:
    """Runs that may start on a machine with so many devices, in order; `due`: only those that need not wait to be tried again.

    Whoever has come to the head and waits for devices stays there, whatever others' shares are meanwhile: a run for
    several devices is not overtaken for ever. Only a higher priority goes before it.
    """
    in_use = (
        select(Run.owner, func.count().label("devices"))
        .join(Device, Device.run_id == Run.id)
        .group_by(Run.owner)
        .subquery()
    )
    moment = utc_now()
    # A time too far ahead was written while the clock was: without this, a run would wait until then
    now = or_(Run.not_before.is_(None), Run.not_before <= moment, Run.not_before > moment + LONGEST_WAIT)
    found = select(Run).outerjoin(in_use, in_use.c.owner == Run.owner)
    found = found.where(Run.state.in_(WAITING), Run.want == Want.RUN, Run.gpus <= devices, *((now,) if due else ()))
    standing = (Run.reserved_at.is_(None), Run.reserved_at)
    return found.order_by(Run.priority.desc(), *standing, func.coalesce(in_use.c.devices, 0), LINE_AT, Run.id)


def need_of(run: Run) -> Need:
    return Need(run.gpus, run.memory_bytes, alone=run.oom_retries > 0)


def check_priority(session: Session, who: str, priority: int, before: int = 0) -> None:
    """Everybody may let others go first; to go before them takes somebody who administers the studio. Raises Invalid."""
    if priority > before and not administers(session, who):
        raise Invalid(
            f"Only somebody who administers the studio may raise a run's priority above {before}.",
            f"Choose {before} or less, or move it before your own other runs.",
            "resources.priority",
        )


def administers(session: Session, who: str) -> bool:
    person = session.get(Person, who)
    return person is not None and person.role == "admin"
