"""The ways in which a person is told: add one, list, change, try, remove. Nobody sees another person's."""

import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from studio.errors import Conflict, Invalid, NotFound, TooMany, clip
from studio.folders import new_id
from studio.notifications import mail, messages, webhook
from studio.notifications.addresses import allowed_addresses, check_url
from studio.notifications.messages import EVENTS
from studio.records import LOCAL_PERSON, Channel, utc_now
from studio.studio import Studio

KINDS = ("webhook", "email")
MOST = 20  # for one person
BETWEEN_TESTS = timedelta(seconds=5)


def add_channel(
    studio: Studio, kind: str, address: str, events: Collection[str] = tuple(EVENTS), owner: str = LOCAL_PERSON
) -> Channel:
    """The channel with its secret, which nothing shows again. Raises Invalid with the field, TooMany."""
    if kind not in KINDS:
        raise Invalid(f"'{clip(kind, 20)}' is no way to be told.", f"Choose one of: {', '.join(KINDS)}.", "kind")
    checked = checked_address(studio, kind, address)
    secret = new_secret() if kind == "webhook" else None
    with studio.database.write() as session:
        if (session.scalar(select(func.count()).where(Channel.owner == owner)) or 0) >= MOST:
            raise TooMany(f"You are told in {MOST} ways already, and more are not allowed.", "Remove one first.")
        twin = select(Channel.id).where(Channel.owner == owner, Channel.kind == kind, Channel.address == checked)
        if session.scalar(twin.limit(1)):
            raise Conflict("You are told there already.", "Change that entry, or remove it first.", "address")
        channel = Channel(owner=owner, kind=kind, address=checked, secret=secret, events=checked_events(events))
        session.add(channel)
    return channel


def list_channels(studio: Studio, owner: str = LOCAL_PERSON) -> list[Channel]:
    """Oldest first."""
    with studio.database.read() as session:
        return list(
            session.scalars(select(Channel).where(Channel.owner == owner).order_by(Channel.created_at, Channel.id))
        )


def change_channel(
    studio: Studio,
    id: str,
    owner: str = LOCAL_PERSON,
    events: Collection[str] | None = None,
    active: bool | None = None,
) -> Channel:
    """Raises NotFound, Invalid."""
    with studio.database.write() as session:
        channel = _found(session, id, owner)
        if events is not None:
            channel.events = checked_events(events)
        if active is not None:
            channel.active = active
        return channel


def renew_secret(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> Channel:
    """Another secret; the old one signs nothing any more. Raises NotFound, Conflict for what has none."""
    with studio.database.write() as session:
        channel = _found(session, id, owner)
        if channel.kind != "webhook":
            raise Conflict("An e-mail address has no secret.", "Only webhooks are signed.")
        channel.secret = new_secret()
        return channel


def delete_channel(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> None:
    """With what was on its way there. Raises NotFound."""
    with studio.database.write() as session:
        session.delete(_found(session, id, owner))


def send_test(studio: Studio, id: str, owner: str = LOCAL_PERSON) -> None:
    """Send a test now and wait for the answer. Raises what `deliver` raises, TooMany when the last one was just sent."""
    with studio.database.write() as session:
        channel = _found(session, id, owner)
        if channel.tested_at and abs(utc_now() - channel.tested_at) < BETWEEN_TESTS:
            raise TooMany("A test was sent a moment ago.", f"Wait {BETWEEN_TESTS.seconds} seconds.")
        channel.tested_at = utc_now()
    deliver(studio, channel, new_id(), messages.body_of_test(studio.settings))


def deliver(studio: Studio, channel: Channel, id: str, body: dict[str, Any]) -> None:
    """Raises Invalid for an address that may not be reached (any more), Unavailable in words when it was not taken."""
    if channel.kind == "webhook":
        webhook.post(studio.settings, channel.address, channel.secret or "", id, body)
    else:
        mail.send(studio.settings, channel.address, id, messages.subject(body), messages.letter(body))


def checked_address(studio: Studio, kind: str, address: str) -> str:
    """Raises Invalid: at once, rather than when the first run has ended."""
    if kind == "email":
        mail.check_set_up(studio.settings)
        return mail.check_address(address)
    try:
        allowed_addresses(studio.settings, check_url(address))
    except (OSError, UnicodeError):
        raise Invalid("There is no such host.", "Look at the address.", "address") from None
    return address.strip()


def checked_events(events: Collection[str]) -> list[str]:
    unknown = [event for event in events if event not in EVENTS]
    if unknown or not events:
        about = f"'{clip(unknown[0], 20)}' is nothing to be told of." if unknown else "Nothing is chosen to be told of."
        raise Invalid(about, f"Choose of: {', '.join(EVENTS)}.", "events")
    return [event for event in EVENTS if event in events]


def new_secret() -> str:
    return f"whsec_{secrets.token_urlsafe(32)}"


def shown(channel: Channel) -> dict[str, Any]:
    """As API and pages show it: without its secret."""
    known = {name: getattr(channel, name) for name in ("id", "kind", "address", "events", "active")}
    return {**known, "created_at": channel.created_at.isoformat()}


def _found(session: Session, id: str, owner: str) -> Channel:
    channel = session.get(Channel, id)
    if channel is None or channel.owner != owner:
        raise NotFound("channel", id)
    return channel
