"""Who is told how that a run has ended, and what is on its way to them."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from studio.folders import new_id
from studio.records.record import Record, owner_column, utc_now
from studio.records.states import Delivery


class Channel(Record):
    """One way to tell one person: a webhook or an e-mail address, and which ends of runs are worth telling."""

    __tablename__ = "notification_channels"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    owner: Mapped[str] = owner_column()
    kind: Mapped[str] = mapped_column(String(16))  # webhook, email
    address: Mapped[str] = mapped_column(String(500))
    secret: Mapped[str | None] = mapped_column(String(64))  # of a webhook: its messages are signed with it; shown once
    events: Mapped[list[str]] = mapped_column(default=list)  # of notifications.messages.EVENTS
    active: Mapped[bool] = mapped_column(default=True)
    tested_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Notification(Record):
    """One message to one channel, written together with the run's end: a crash loses none."""

    __tablename__ = "notifications"
    __table_args__ = (Index("notifications_due", "state", "not_before"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)  # the receiver's, to know a double by
    owner: Mapped[str] = owner_column()
    channel: Mapped[str] = mapped_column(ForeignKey("notification_channels.id", ondelete="CASCADE"), index=True)
    run: Mapped[str | None] = mapped_column(String(32))  # it may be deleted by now
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)  # as it was when the run ended
    state: Mapped[Delivery] = mapped_column(default=Delivery.WAITING)
    tries: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime] = mapped_column(default=utc_now)
    problem: Mapped[str | None]  # of the last try
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    sent_at: Mapped[datetime | None]
