"""An adapter that was made elsewhere, as its files say it: by which method, on which layers and with which sides. Read without torch."""

from studio.brought_adapters.found import FoundAdapter, Front, Sides
from studio.brought_adapters.kinds import read_brought

__all__ = ["FoundAdapter", "Front", "Sides", "read_brought"]
