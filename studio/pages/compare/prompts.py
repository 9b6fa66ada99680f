"""Questions to try on an adapter: those that its data set offers, otherwise held-out ones of the data it learned from."""

import contextlib

from studio import adapters, datasets
from studio.errors import StudioError
from studio.rows import read_rows
from studio.studio import Studio

LONGEST = 160  # characters; what is longer is no button
ROWS = 200
ALWAYS = ("Hello! Who are you?", "What can you help me with?")


def example_prompts(studio: Studio, base: str, ids: list[str], most: int) -> list[str]:
    """At most `most` questions, those of the first adapter's data first."""
    found: list[str] = []
    for id in ids or []:
        with contextlib.suppress(StudioError):  # the data set may be gone, or was never here: the adapter stays
            found += of_dataset(studio, *_dataset_of(adapters.passport(studio, id)), most)
    return list(dict.fromkeys([*found, *ALWAYS]))[:most] if base else []


def _dataset_of(passport: dict) -> tuple[str, int | None]:
    """(id, version) of the data that an adapter learned from."""
    dataset = passport.get("dataset")
    if not isinstance(dataset, dict):
        return "", None
    version = dataset.get("version")
    return str(dataset.get("id", "")), version if isinstance(version, int) and version > 0 else None


def of_dataset(studio: Studio, id: str, version: int | None, most: int) -> list[str]:
    dataset = datasets.get_dataset(studio, id)
    offered = datasets.builtin_example_prompts(dataset)
    return offered[:most] or first_questions(studio, id, version, most)


def first_questions(studio: Studio, id: str, version: int | None, most: int) -> list[str]:
    """First questions of rows, held-out ones before those that were trained on."""
    rows = sorted(read_rows(studio.data.dataset(id, version), 0, ROWS), key=lambda row: not row.get("heldout"))
    asked = (
        message["content"].strip()
        for row in rows
        for message in row.get("messages", [])[:2]
        if message["role"] == "user"
    )
    return [
        question for question in dict.fromkeys(asked) if question and len(question) <= LONGEST and "\n" not in question
    ][:most]
