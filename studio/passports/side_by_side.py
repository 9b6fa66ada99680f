"""Two to four adapters' settings and passports in one table: what is the same, and what differs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio import adapters
from studio.errors import Invalid, at_field
from studio.files import read_json
from studio.methods import METHODS
from studio.passports.written import passport
from studio.records import Adapter
from studio.studio import Studio
from studio.training_settings import TrainingSettings

FEWEST, MOST = 2, 4
SECTIONS = {
    "adapter": "Adapter",
    "base_model": "Base model",
    "dataset": "Data",
    "method": "Method",
    "training": "Training",
    "resolved": "What auto became",
    "results": "Results",
    "verdict": "Verdict",
    "votes": "Votes",
    "made_by": "Made by",
    "parents": "Made from",
    "measured": "Measured",
    "imported": "Brought from",
    "versions": "Versions",
    "adapter_config": "adapter_config.json",
}
WITHOUT_MEANING = {"reasons", "task_type", "inference_mode", "auto_mapping"}  # alike in all, or words about other rows


@dataclass(frozen=True)
class Line:
    section: str
    name: str
    values: list[Any]  # one of each adapter; None where it has none

    @property
    def differs(self) -> bool:
        return any(value != self.values[0] for value in self.values)


def side_by_side(studio: Studio, ids: Sequence[str]) -> tuple[list[Adapter], list[Line]]:
    """Raises Invalid for too few or too many, NotFound."""
    ids = list(dict.fromkeys(ids))
    if not FEWEST <= len(ids) <= MOST:
        raise Invalid(
            f"{len(ids)} adapter{' is' if len(ids) == 1 else 's are'} chosen.", f"Choose {FEWEST} to {MOST}.", "id"
        )
    with at_field("id"):
        found = [adapters.get_adapter(studio, id) for id in ids]
    told = [dict(lines_of(studio, adapter)) for adapter in found]
    keys = dict.fromkeys(key for each in told for key in each)
    place = list(SECTIONS)
    lines = [Line(*key, [each.get(key) for each in told]) for key in keys]
    return found, sorted(lines, key=lambda line: place.index(line.section))


def lines_of(studio: Studio, adapter: Adapter) -> Iterator[tuple[tuple[str, str], Any]]:
    """((section, name), value) of all that is known of one adapter."""
    known, told = adapters.shown(adapter), passport(studio, adapter.id)
    for name in ("source", "method", "rank", "size_bytes", "sha256", "created_at"):
        yield ("adapter", name), known[name]
    config = read_json(studio.data.adapter(adapter.id).config, {})
    parts = {**told, "adapter_config": config if not told.get("method") else {}}
    for section in SECTIONS:
        if section != "adapter":
            titles = titles_of(section, parts)
            for name, value in flat(parts.get(section)):
                yield (section, titles.get(name, name)), value


def titles_of(section: str, parts: Mapping[str, Any]) -> dict[str, str]:
    """What the form calls these settings."""
    method = parts.get("method")
    known = METHODS.get(method.get("name")) if isinstance(method, Mapping) else None
    settings = {"method": known.settings if known else None, "training": TrainingSettings}.get(section)
    return {name: field.title or name for name, field in settings.model_fields.items()} if settings else {}


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Objects and lists of objects as dotted names with plain values."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if key not in WITHOUT_MEANING:
                yield from flat(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        for number, each in enumerate(value, start=1):
            yield from flat(each, f"{name} {number}".strip())
    elif value not in (None, [], ""):
        yield name, value


def shown(found: list[Adapter], lines: list[Line]) -> dict[str, Any]:
    """As the API shows it."""
    return {
        "adapters": [{"id": adapter.id, "name": adapter.name} for adapter in found],
        "lines": [
            {"section": line.section, "name": line.name, "values": line.values, "differs": line.differs}
            for line in lines
        ],
    }
