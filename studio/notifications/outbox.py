"""What is to be told, from the transaction in which a run ends until its receiver has taken it: at least once, each with its id.

A notification is written together with the run's end, so neither is there without the other. Whoever sends it takes it
with a compare-and-set and a time limit: when that process dies, another one sends it again under the same id.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import Select, delete, select, update
from sqlalchemy.orm import Session

from studio.notifications import messages
from studio.records import LOCAL_PERSON, Channel, Delivery, Notification, Run, Status, utc_now
from studio.settings import StudioSettings
from studio.studio import Studio

PAUSES = tuple(
    timedelta(seconds=seconds) for seconds in (30, 120, 600, 1800, 7200, 21600, 43200)
)  # between tries; a day in all
TIME_TO_SEND = timedelta(minutes=2)  # longer than any delivery takes
KEPT = timedelta(days=30)
OPEN = (Delivery.WAITING, Delivery.SENDING)


def put(session: Session, settings: StudioSettings, before: Run, now: Run, to: Status, text: str) -> None:
    """In the transaction that moves a run from `before` to `now`: one message for each channel that is to know."""
    event = messages.event_of(before, to)
    if event is None:
        return
    channels = session.scalars(select(Channel).where(Channel.owner == now.owner, Channel.active)).all()
    for channel in channels:
        if event in channel.events:
            body = messages.body_of(session, settings, now, event, text)
            session.add(Notification(owner=now.owner, channel=channel.id, run=now.id, body=body))


def is_due(studio: Studio) -> bool:
    with studio.database.read() as session:
        return session.scalar(_due().limit(1)) is not None


def claim(studio: Studio) -> tuple[Notification, Channel] | None:
    """The oldest that is due, taken so that nobody else sends it for a while; None when there is none."""
    with studio.database.write() as session:
        found = session.scalar(_due().limit(1))
        if found is None:
            return None
        found.state, found.tries, found.not_before = Delivery.SENDING, found.tries + 1, utc_now() + TIME_TO_SEND
        session.flush()
        return found, session.get_one(Channel, found.channel)


def settle(studio: Studio, notification: Notification, problem: str | None) -> Delivery:
    """It was taken, or was not for this reason: tried again later, or given up after a day. Nothing happens when another try has begun."""
    values: dict[str, Any]
    if problem is None:
        values = {"state": Delivery.SENT, "sent_at": utc_now(), "problem": None}
    elif notification.tries > len(PAUSES):
        values = {"state": Delivery.GIVEN_UP, "problem": problem}
    else:
        later = utc_now() + PAUSES[notification.tries - 1]
        values = {"state": Delivery.WAITING, "problem": problem, "not_before": later}
    mine = (Notification.id == notification.id, Notification.tries == notification.tries)
    with studio.database.write() as session:
        session.execute(update(Notification).where(*mine, Notification.state == Delivery.SENDING).values(**values))
        session.execute(
            delete(Notification).where(Notification.created_at < utc_now() - KEPT, Notification.state.not_in(OPEN))
        )
    return values["state"]


def recent(studio: Studio, owner: str = LOCAL_PERSON, limit: int = 20) -> list[Notification]:
    """Newest first."""
    query = select(Notification).where(Notification.owner == owner)
    with studio.database.read() as session:
        return list(session.scalars(query.order_by(Notification.created_at.desc(), Notification.id).limit(limit)))


def shown(notification: Notification) -> dict[str, Any]:
    """As API and pages show it."""
    names = ("id", "channel", "run", "tries", "problem")
    moments = {
        name: moment and moment.isoformat()
        for name in ("created_at", "sent_at")
        for moment in [getattr(notification, name)]
    }
    said = {"event": notification.body["event"], "text": notification.body["text"], "state": notification.state.value}
    return {**{name: getattr(notification, name) for name in names}, **said, **moments}


def _due() -> Select:
    return (
        select(Notification)
        .where(Notification.state.in_(OPEN), Notification.not_before <= utc_now())
        .order_by(Notification.not_before, Notification.id)
    )
