"""The suites that come with the studio: registered at each start, brought to what this version says."""

from pathlib import Path
from typing import Any

from studio.files import read_json
from studio.records import Suite
from studio.studio import Studio
from studio.suites.lists import holding
from studio.suites.prompts import read_prompts

FOLDER = Path(__file__).parents[1] / "builtin" / "suites"
NEUTRAL = "neutral"  # id of the suite by which forgetting is told


def add_builtin_suites(studio: Studio) -> None:
    for path in sorted(FOLDER.glob("*.json")):
        _add(studio, read_json(path))


def _add(studio: Studio, told: dict[str, Any]) -> None:
    held = holding(read_prompts(told["prompts"]))
    with studio.database.write() as session:
        suite = session.get(Suite, told["id"])
        if suite is None:
            session.add(Suite(id=told["id"], source="builtin", name=told["name"], about=told["about"], **held))
        elif suite.sha256 != held["sha256"]:  # a newer studio asks other things; runs keep what they were asked
            for column, value in held.items():
                setattr(suite, column, value)


def longest_answer(suite: Suite) -> int | None:
    """How many tokens an answer may have, where the suite says it."""
    told = read_json(FOLDER / f"{suite.id}.json", {}) if suite.source == "builtin" else {}
    return told.get("max_new_tokens")
