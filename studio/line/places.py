"""Where each waiting run stands in the line, and about when it starts: the line played forward with measured times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from studio.line.cards import SLOT, Card, Need, attainable, card_of, placed, suited
from studio.line.devices import Slot, cards_in, slots
from studio.line.order import LINE_AT, need_of, waiting
from studio.line.seconds import seconds_of
from studio.records import JobState, Run, SuiteRun, utc_now
from studio.run_queue import runner_seen
from studio.studio import Studio

GIB = 2**30
ME = "the one who asks"
MOST_DEVICES = 10**6  # every run is looked at, also those that want more devices than there are


@dataclass(frozen=True)
class Place:
    number: int | None  # 1 starts next
    seconds: float | None = None  # until it starts, about; None where too little has been measured to tell
    blocked: str = ""  # why it is passed over

    @property
    def shown(self) -> dict:
        return {"queue_position": self.number, "starts_in_seconds": self.seconds, "waits_because": self.blocked}


NOWHERE = Place(None)  # of a run that does not wait


class Held(NamedTuple):
    """Slots that somebody holds."""

    slots: tuple[str, ...]
    need: Need | None
    seconds: float | None  # for so long still; None: not known


class Waiter(NamedTuple):
    id: str
    need: Need
    seconds: float | None  # that it will take; None: not known
    not_before: float | None = 0.0  # seconds from now; None: something stands before it that nobody knows the length of


def place_of(studio: Studio, run_id: str) -> Place:
    with studio.database.read() as session:
        return places(studio, session).get(run_id, NOWHERE)


def places(studio: Studio, session: Session) -> dict[str, Place]:
    """Of every waiting run. Those that can start on none of the devices come last, and say why."""
    line = list(session.scalars(waiting(MOST_DEVICES, due=False)))
    if not line:
        return {}
    found = slots(session)
    cards = cards_in(found)
    if not cards or not runner_seen(session):  # nobody is there to start them
        return {run.id: Place(number) for number, run in enumerate(line, 1)}
    able = [run for run in line if attainable(cards, need_of(run))]
    starts = _starts(studio, session, found, cards, able)
    standing = {run.id: Place(number, starts[run.id]) for number, run in enumerate(able, 1)}
    others = [run for run in line if run.id not in standing]
    troubles = [device.trouble for device, _ in found if device.trouble and SLOT not in device.id]
    blocked = {run.id: Place(n, None, why_blocked(run, cards, troubles)) for n, run in enumerate(others, len(able) + 1)}
    return standing | blocked


def seconds_until(studio: Studio, session: Session, since: datetime, need: Need) -> float | None:
    """Until somebody who has waited since then would get what they need, about; None where that is not known."""
    found = slots(session)
    cards = cards_in(found)
    before = [
        run for run in session.scalars(waiting(len(cards)).where(since >= LINE_AT)) if attainable(cards, need_of(run))
    ]
    return _starts(studio, session, found, cards, before, Waiter(ME, need, None))[ME]


def _starts(
    studio: Studio, session: Session, found: list[Slot], cards: list[Card], line: list[Run], *behind: Waiter
) -> dict[str, float | None]:
    live = {run.id: run for _, run in found if run}
    seconds = seconds_of(studio, [*live.values(), *line])
    suite = session.scalar(select(func.min(SuiteRun.queued_at)).where(SuiteRun.state == JobState.QUEUED))
    waiters = [Waiter(run.id, need_of(run), seconds[run.id], _not_before(run, suite)) for run in line]
    return played({card.id: card for card in cards}, _held(found, live, seconds), [*waiters, *behind])


def _not_before(run: Run, suite_since: datetime | None) -> float | None:
    if suite_since is not None and suite_since <= (run.line_at or run.queued_at):
        return None
    return max(0.0, (run.not_before - utc_now()).total_seconds()) if run.not_before else 0.0


def _held(found: list[Slot], live: Mapping[str, Run], seconds: Mapping[str, float | None]) -> list[Held]:
    """Who holds which slots for how long. The chat worker leaves as soon as its answers are written."""
    runs = {id: tuple(device.id for device, run in found if run and run.id == id) for id in live}
    held = [Held(its, need_of(live[id]), seconds[id]) for id, its in runs.items()]
    others = [device for device, run in found if run is None and (device.suite_run or device.chat)]
    return held + [Held((device.id,), None, None if device.suite_run else 0.0) for device in others]


def played(cards: dict[str, Card], held: Sequence[Held], line: Sequence[Waiter]) -> dict[str, float | None]:
    """Seconds until each starts, in the order of the line. Behind a wait that nobody knows the length of, all are None."""
    cards, ends, now = dict(cards), list(held), 0.0
    starts: dict[str, float | None] = dict.fromkeys(waiter.id for waiter in line)
    for waiter in line:
        while (taken := placed(list(cards.values()), waiter.need)) is None:
            known = [end for end in ends if end.seconds is not None]
            if not known:
                return starts
            first = min(known, key=lambda end: end.seconds)
            ends.remove(first)
            now = max(now, first.seconds)
            for slot in first.slots:
                cards[card_of(slot)] = _given_back(cards[card_of(slot)], slot, first.need)
        if waiter.not_before is None:
            return starts
        starts[waiter.id] = begins = max(now, waiter.not_before)
        for slot in taken:
            cards[card_of(slot)] = cards[card_of(slot)].taken_by(waiter.need)
        ends.append(Held(tuple(taken), waiter.need, waiter.seconds and begins + waiter.seconds))
    return starts


def _given_back(card: Card, slot: str, need: Need | None) -> Card:
    held = list(card.held)
    held.remove(need)
    return replace(card, free=(*card.free, slot), held=tuple(held))


def why_blocked(run: Run, cards: Sequence[Card], troubles: Sequence[str]) -> str:
    """Why it can start on no device of this machine, as things are."""
    wanted = f"{run.gpus} devices" if run.gpus > 1 else "a device"
    fit = suited(cards, need_of(run))
    if len(fit) < run.gpus:
        have = "none" if not fit else "only one" if len(fit) == 1 else f"only {len(fit)}"
        return f"It wants {wanted}, and this machine has {have}."
    memory = f" with {run.memory_bytes / GIB:.1f} GiB" if run.memory_bytes else ""
    return f"It is passed over: it wants {wanted}{memory}, and there is no room for it. {' '.join(troubles)}".strip()
