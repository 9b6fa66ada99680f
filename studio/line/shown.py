"""The devices as pages and API show them: what they are, what holds them, and what keeps runs from them."""

from studio.line.cards import SLOT, card_of
from studio.line.devices import Slot, slots
from studio.studio import Studio


def devices_shown(studio: Studio) -> list[dict]:
    """One entry a device, with everybody who holds a slot of it."""
    with studio.database.read() as session:
        found = slots(session)
    return [_shown(device, found) for device, _ in found if SLOT not in device.id]


def _shown(device, found: list[Slot]) -> dict:
    its = [(slot, run) for slot, run in found if card_of(slot.id) == device.id]
    held = [{"kind": "run", "id": run.id, "name": run.name} for _, run in its if run]
    held += [{"kind": "suite", "id": slot.suite_run, "name": "A suite"} for slot, _ in its if slot.suite_run]
    held += [{"kind": "chat", "id": None, "name": "The chat worker"} for slot, _ in its if slot.chat]
    facts = {name: getattr(device, name) for name in ("id", "name", "memory_bytes", "foreign_bytes", "trouble")}
    return {**facts, "slots": len(its), "held_by": held}
