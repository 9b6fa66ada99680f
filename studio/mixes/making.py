"""Make a mix: several data sets become a new one, which names those that it was made from."""

from collections.abc import Sequence
from contextlib import suppress

from studio.dataset_report import Report
from studio.dataset_uploads import dataset_name, keep, made_apart, record_of
from studio.datasets import get_dataset
from studio.errors import Invalid, NotFound, clip
from studio.formats import KINDS
from studio.mixes.recipe import MOST_PARTS, Mixing, Part, WrittenPart
from studio.records import LOCAL_PERSON, Dataset
from studio.studio import Studio
from studio.versions.lineage import folder_of, get_version
from studio.versions.saving import WHY_LENGTH, room_for_rows

WORKER = "jobs.workers.mix_data"


def make_mix(studio: Studio, name: str, parts: Sequence[Part], owner: str = LOCAL_PERSON) -> Dataset:
    """A new data set with the rows of these. Raises Invalid at the part that cannot go with the others, BadInput without a row."""
    wanted = _checked(studio, parts)
    with room_for_rows(studio, 1) as folder:
        report: Report = made_apart(studio, folder, WORKER, wanted)
        named = dataset_name(name) or dataset_name(" + ".join(part.name for part in wanted.parts)) or "Mix"
        dataset = record_of(report, name=named, file_name="mix", source="mix", owner=owner)
        return keep(studio, folder, dataset, clip(report.reason, WHY_LENGTH))


def rows_of_mix(studio: Studio, parts: Sequence[Part]) -> list[int]:
    """About how many rows each part brings."""
    return [round(part.rows * part.weight) for part in _checked(studio, parts).parts]


def _checked(studio: Studio, parts: Sequence[Part]) -> Mixing:
    if not 1 <= len(parts) <= MOST_PARTS:
        raise Invalid(
            f"A mix has 1 to {MOST_PARTS} parts, and not {len(parts)}.", "Name the data sets to mix.", "parts"
        )
    found = [_part(studio, place, part) for place, part in enumerate(parts)]
    (first, dataset), *others = found
    for place, (_, other) in enumerate(others, 1):
        if other.kind != dataset.kind:
            raise Invalid(
                f"'{other.name}' is of the kind '{KINDS[other.kind]}', and '{dataset.name}' of the kind '{KINDS[dataset.kind]}'.",
                "Mix data sets of one kind.",
                f"parts[{place}].dataset",
            )
    seen = [(part.dataset, part.version) for part, _ in found]
    twice = next((place for place, one in enumerate(seen) if one in seen[:place]), None)
    if twice is not None:
        raise Invalid(f"'{found[twice][1].name}' is named twice.", "Give it one weight.", f"parts[{twice}].dataset")
    settings = studio.settings
    return Mixing(
        parts=[part for part, _ in found], kind=dataset.kind, text_limit=settings.max_upload_mb << 20,
        memory_mb=settings.parse_memory_mb, cpu_seconds=settings.parse_seconds,
    )  # fmt: skip


def _part(studio: Studio, place: int, part: Part) -> tuple[WrittenPart, Dataset]:
    with suppress(NotFound):
        dataset, version = get_dataset(studio, part.dataset), get_version(studio, part.dataset, part.version)
        return WrittenPart(
            dataset=dataset.id, name=dataset.name, version=version.number, sha256=version.sha256, rows=version.rows,
            weight=part.weight, folder=folder_of(studio, version).path.resolve(),
        ), dataset  # fmt: skip
    raise Invalid(
        f"There is no data set '{clip(part.dataset, 40)}' with the version {part.version or 'newest'}.",
        "Choose one of the list of data sets.",
        f"parts[{place}].dataset",
    )
