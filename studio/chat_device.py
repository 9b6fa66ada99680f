"""The chat worker's device: leased in the table where runs lease theirs, waited for in the same line, given back when the worker ends.

On a CPU it takes no slot: on a laptop one training and the chat stand beside each other, the chat with half of the cores.
"""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from studio.errors import Unavailable
from studio.folders import new_id
from studio.line.cards import Need, card_of, placed
from studio.line.devices import WAITS_FOR, WHOLE, Slot, cards_in, chat_cards, run_before, slots, suite_before
from studio.line.places import seconds_until
from studio.records import ChatWait, Device, utc_now
from studio.run_queue import runner_seen
from studio.studio import Studio


class DeviceBusy(Unavailable):
    """No device is free for an answer now: it is to be waited for."""


class Lease(NamedTuple):
    environment: dict[str, str]
    """What the worker sees: its own device and no other."""


def take(studio: Studio, waited_since: datetime | None = None) -> Lease:
    """A device for a chat worker that is about to start. The caller holds the chat's lock, so there is no other one.

    Raises DeviceBusy with what is waited for, and about how long.
    """
    if studio.settings.device == "cpu":
        return Lease({"CUDA_VISIBLE_DEVICES": ""})
    since = waited_since or utc_now()
    with studio.database.write() as session:
        session.execute(update(Device).where(Device.chat.is_not(None)).values(chat=None))  # of one that was killed
        found = slots(session)
        if not any(device.id.startswith("cuda") for device, _ in found):
            return Lease({})  # no runner has looked for GPUs, or there are none: the worker looks for itself
        free = _free(session, found, since)
        if free is not None:
            device = session.get_one(Device, free)
            device.chat = new_id()
            return Lease({"CUDA_VISIBLE_DEVICES": device.visible, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"})
    raise DeviceBusy(
        _why(studio, since), "It is answered as soon as the device is free; close the page to take it back."
    )


def _free(session: Session, found: list[Slot], since: datetime) -> str | None:
    """Unless a run or a suite that waits for longer is to have it."""
    free = placed(chat_cards(cards_in(found)), WHOLE)
    if free is None or not runner_seen(session):
        return free and free[0]
    usable = {card_of(device.id) for device, _ in found}
    return None if run_before(session, usable, since) or suite_before(session, since) else free[0]


def _why(studio: Studio, since: datetime) -> str:
    with studio.database.read() as session:
        names = [f"'{run.name}'" for _, run in slots(session) if run]
        seconds = seconds_until(studio, session, since, Need())
    busy = (
        f"The devices train now ({' and '.join(dict.fromkeys(names))})"
        if names
        else "What came before it has the device first"
    )
    about = "how long is not known yet" if seconds is None else f"about {max(1, round(seconds / 60))} min"
    return f"{busy}, so the question waits in line: {about}."


def release(studio: Studio) -> None:
    """Its worker is gone: the device is free again, in one transaction."""
    with studio.database.read() as session:
        if not is_held(session):
            return  # nearly always on a CPU
    with studio.database.write() as session:
        session.execute(update(Device).where(Device.chat.is_not(None)).values(chat=None))


def is_held(session: Session) -> bool:
    return session.scalar(select(Device.id).where(Device.chat.is_not(None)).limit(1)) is not None


def stand_in_line(studio: Studio) -> ChatWait:
    """A question waits from now on. Whoever waits says so again and again (`still_waits`), or is forgotten."""
    with studio.database.write() as session:
        session.execute(delete(ChatWait).where(ChatWait.seen_at < utc_now() - WAITS_FOR))
        wait = ChatWait()
        session.add(wait)
        session.flush()
        return wait


def still_waits(studio: Studio, wait: ChatWait) -> None:
    with studio.database.write() as session:
        session.merge(ChatWait(id=wait.id, since=wait.since, seen_at=utc_now()))  # also one that was forgotten


def leave_line(studio: Studio, wait: ChatWait) -> None:
    with studio.database.write() as session:
        session.execute(delete(ChatWait).where(ChatWait.id == wait.id))
