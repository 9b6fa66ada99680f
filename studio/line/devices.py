"""The rows of the devices, as the line sees them: what the runner has found, what others hold, what is free."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from studio.line.cards import SLOT, Card, Need, attainable, card_of, placed, slots_of
from studio.line.order import LINE_AT, need_of, waiting
from studio.records import ChatWait, Device, JobState, Run, SuiteRun, utc_now
from studio.studio import Studio

WAITS_FOR = timedelta(seconds=15)  # a question that nobody was seen to wait with for longer is forgotten
UNUSED = (Device.run_id.is_(None), Device.suite_run.is_(None), Device.chat.is_(None))
WHOLE = Need()  # what a suite or the chat worker wants: one device, alone


class Seen(NamedTuple):
    """A device as the runner has found it."""

    id: str
    name: str
    memory_bytes: int
    visible: str = ""


def see_devices(studio: Studio, found: Sequence[tuple]) -> None:
    """Make the device rows those that were found, each as in Seen, with as many slots as the studio allows.

    A slot that is gone stays while it is held.
    """
    seen = [Seen(*each) for each in found]
    with studio.database.write() as session:
        wanted = {slot: each for each in seen for slot in slots_of(each.id, slots_on(studio, each.id))}
        session.execute(delete(Device).where(Device.id.not_in(wanted), *UNUSED))
        for id, each in wanted.items():
            row = session.get(Device, id) or Device(id=id)
            row.name, row.memory_bytes, row.visible = each.name, each.memory_bytes, each.visible
            row.seen_at = utc_now()
            session.add(row)


def slots_on(studio: Studio, card: str) -> int:
    return 1 if card == "cpu" else studio.settings.runs_per_device


def note_foreign(studio: Studio, held: dict[str, tuple[int, str]]) -> None:
    """What others hold of each device: (bytes, how it is said). Only what has changed is written."""
    with studio.database.read() as session:
        known = {row.id: (row.foreign_bytes, row.trouble) for row in session.scalars(select(Device))}
    changed = {id: now for id, now in held.items() if id in known and known[id] != now}
    if changed:
        with studio.database.write() as session:
            for id, (size, trouble) in changed.items():
                of_card = (Device.id == id) | Device.id.startswith(id + SLOT)
                session.execute(update(Device).where(of_card).values(foreign_bytes=size, trouble=trouble))


Slot = tuple[Device, Run | None]


def slots(session: Session) -> list[Slot]:
    """Every slot with the run that holds it."""
    found = select(Device, Run).outerjoin(Run, Run.id == Device.run_id).order_by(Device.id)
    return [(device, run) for device, run in session.execute(found)]


def cards_of(session: Session, usable: Collection[str], chat_leaves: bool = False) -> list[Card]:
    """The devices with these ids as they are held now; `chat_leaves`: as if the chat worker were gone."""
    return cards_in([slot for slot in slots(session) if card_of(slot[0].id) in usable], chat_leaves)


def cards_in(found: Iterable[Slot], chat_leaves: bool = False) -> list[Card]:
    by_card: dict[str, list[Slot]] = {}
    for slot in found:
        by_card.setdefault(card_of(slot[0].id), []).append(slot)
    return [_card(id, of_card, chat_leaves) for id, of_card in by_card.items()]


def _card(id: str, its: list[Slot], chat_leaves: bool) -> Card:
    free, held = [], []
    for device, run in its:
        if run is not None:
            held.append(need_of(run))
        elif device.suite_run or (device.chat and not chat_leaves):
            held.append(None)
        else:
            free.append(device.id)
    first = its[0][0]
    return Card(id, first.memory_bytes, first.foreign_bytes, tuple(free), tuple(held))


class Choice(NamedTuple):
    """The head of the line, and the slots that it may take; None when it must wait for them."""

    run: Run
    slots: list[str] | None


def choose(session: Session, usable: Collection[str], chat_leaves: bool = False) -> Choice | None:
    """The run whose turn it is, or None when none may start on this machine.

    A run that others' processes leave no room for is passed over: it may fit as soon as they end, and nobody knows when.
    """
    cards = cards_of(session, usable, chat_leaves)
    line, passed = waiting(len(cards)), 0
    while (run := session.scalar(line.offset(passed).limit(1))) is not None:
        need = need_of(run)
        if attainable(cards, need):
            return Choice(run, placed(_without_promised(session, cards, run), need))
        passed += 1
    return None


def _without_promised(session: Session, cards: list[Card], run: Run) -> list[Card]:
    """Less the device that a question is to get which has waited for longer than this run."""
    since = run.line_at or run.queued_at
    waits = ChatWait.since < since, ChatWait.seen_at > utc_now() - WAITS_FOR
    if run.reserved_at is not None or session.scalar(select(ChatWait.id).where(*waits).limit(1)) is None:
        return cards
    promised = placed(chat_cards(cards), WHOLE)
    return [card for card in cards if not promised or card.id != card_of(promised[0])]


def chat_cards(cards: list[Card]) -> list[Card]:
    """Those that the chat worker may take, the last first: trainings begin with the first. A CPU it takes no slot of."""
    return [card for card in reversed(cards) if card.id != "cpu" and not card.held]


def free_for_whole(session: Session, usable: Collection[str]) -> str | None:
    """A device that nothing is on, for what shares with nobody."""
    found = placed([card for card in cards_of(session, usable) if not card.held], WHOLE)
    return found[0] if found else None


def run_before(session: Session, usable: Collection[str], since: datetime) -> bool:
    """Whether a training that can start on this machine has waited since before that."""
    cards = cards_of(session, usable)
    older = waiting(len(cards)).where(since >= LINE_AT)
    return any(attainable(cards, need_of(run)) for run in session.scalars(older))


def suite_before(session: Session, since: datetime) -> bool:
    older = select(SuiteRun.id).where(SuiteRun.state == JobState.QUEUED, SuiteRun.queued_at <= since).limit(1)
    return session.scalar(older) is not None
