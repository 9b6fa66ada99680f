"""What a device has room for: runs that hold it, processes of others, and what one more would need."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

SLOT = "#"  # "cuda:0#2" is the second slot of "cuda:0"
SLICE = "."  # "cuda:0.1" is a part of "cuda:0" (MIG), which trains alone
ALONE_SHARE = 0.95  # of a device's memory that one run may plan with, as in studio/devices.py
OTHERS_SHARE = 0.5  # that others may hold where it is not known how much is needed
SHARED_SHARE = 0.9  # that several may: plans are right to a few percent, and two are seldom wrong in the same direction


@dataclass(frozen=True)
class Need:
    """What a run wants of its devices."""

    devices: int = 1
    memory_bytes: int | None = None  # planned, on each; None: not known
    alone: bool = False  # it has run out of memory before, so its plan is not to be relied upon


@dataclass(frozen=True)
class Card:
    """One device, with all of its slots."""

    id: str
    memory_bytes: int = 0
    foreign_bytes: int = 0  # held by processes that are not ours
    free: tuple[str, ...] = ()  # ids of its slots that nobody holds
    held: tuple[Need | None, ...] = field(default=())  # who holds the others; None: something that shares with nobody

    def admits(self, need: Need) -> bool:
        """Whether it may start here now, beside those that are here."""
        if not self.free:
            return False
        if not self.held:
            return self.fits_alone(need)
        sharing = (need, *self.held)
        if any(each is None or each.alone or each.memory_bytes is None for each in sharing):
            return False
        planned = sum(each.memory_bytes for each in sharing)
        return planned <= SHARED_SHARE * self.memory_bytes - self.foreign_bytes

    def fits_alone(self, need: Need) -> bool:
        if self.id == "cpu":
            return (
                True  # its memory is shared with everything on the machine; the plan was checked against what was free
            )
        if need.memory_bytes is None:
            return self.foreign_bytes <= OTHERS_SHARE * self.memory_bytes
        return need.memory_bytes <= ALONE_SHARE * self.memory_bytes - self.foreign_bytes

    def emptied(self) -> "Card":
        """As it is when everything of ours on it has ended."""
        return replace(self, free=(self.id,), held=())

    def taken_by(self, need: Need | None) -> "Card":
        return replace(self, free=self.free[1:], held=(*self.held, need))


def card_of(slot: str) -> str:
    return slot.partition(SLOT)[0]


def slots_of(card: str, count: int) -> list[str]:
    return [card, *(f"{card}{SLOT}{number}" for number in range(2, count + 1))]


def suited(cards: Iterable[Card], need: Need) -> list[Card]:
    """Those that this run may be put on at all: several processes cannot meet on slices of a GPU."""
    return [card for card in cards if need.devices == 1 or SLICE not in card.id]


def attainable(cards: Iterable[Card], need: Need) -> bool:
    """Whether it can start once everything of ours has ended: others' processes leave it enough devices."""
    return sum(card.emptied().admits(need) for card in suited(cards, need)) >= need.devices


def placed(cards: Sequence[Card], need: Need) -> list[str] | None:
    """Slots that it may take now, each of another device, empty ones first; None when it must wait."""
    ready = [card for card in suited(cards, need) if card.admits(need)]
    ready.sort(key=lambda card: len(card.held))  # stable: of equals the first
    return [card.free[0] for card in ready[: need.devices]] if len(ready) >= need.devices else None
