"""The passport as it leaves: with what was found since the adapter was made, its blind votes."""

import json
from collections.abc import Iterator
from typing import Any

from studio import adapters, vote_results
from studio.passports.schema import VERSION
from studio.records import Adapter
from studio.studio import Studio


def passport(studio: Studio, id: str) -> dict[str, Any]:
    """Raises NotFound."""
    adapter = adapters.get_adapter(studio, id)
    return {**adapters.passport(studio, id), **votes_of(studio, adapter)}


def votes_of(studio: Studio, adapter: Adapter) -> dict[str, Any]:
    """How it stood against its base as the people of this studio voted; until they have, what it brought along stays."""
    pair = vote_results.against_base(studio, adapter)
    if not pair.decided + pair.bad:
        return {}
    counts = {"wins": pair.wins, "losses": pair.losses, "ties": pair.ties, "bad": pair.bad}
    return {"version": VERSION, "votes": {"against": "base", **counts, "rate": pair.rate, "interval": pair.interval}}


def zip_chunks(studio: Studio, id: str) -> Iterator[bytes]:
    """The adapter as a zip with one folder that PEFT loads, its passport as it is now."""
    return adapters.zip_chunks(studio, id, {adapters.PASSPORT: as_file(studio, id)})


def as_file(studio: Studio, id: str) -> bytes:
    return json.dumps(passport(studio, id), ensure_ascii=False, indent=1, allow_nan=False).encode()
