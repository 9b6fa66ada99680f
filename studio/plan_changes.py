"""Changes of a plan that travel in an address: "training.learning_rate:0.0001,training.max_steps:null"."""

import json
from typing import Any

from studio.errors import Invalid, clip
from studio.methods import METHODS
from studio.plan import TrainingPlan, read_plan
from studio.training_settings import Resources, TrainingSettings

MOST_LETTERS = 1000
PARTS = {"training": TrainingSettings, "resources": Resources}
Changes = dict[str, Any]
"""Dotted name of a setting → its new value, as JSON has it."""


def as_text(changes: Changes) -> str:
    return ",".join(f"{name}:{json.dumps(value)}" for name, value in changes.items())


def from_text(text: str) -> Changes:
    """Raises Invalid for what is no list of changes; whether they can be is for `changed` to say."""
    found: Changes = {}
    for each in text[:MOST_LETTERS].split(",") if text else ():
        name, colon, value = each.partition(":")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value.strip()
        if not colon or isinstance(found[name.strip()], dict | list):
            raise Invalid(f"'{clip(each)}' is no change of a setting.", "Write it as name:value.", "set")
    return found


def nested(changes: Changes) -> dict[str, Any]:
    """As a plan holds them: {"training": {"learning_rate": 0.0001}}."""
    values: dict[str, Any] = {}
    for name, value in changes.items():
        *parts, last = name.split(".")
        place = values
        for part in parts:
            place = place.setdefault(part, {})
        place[last] = value
    return values


def changed(values: dict[str, Any], changes: Changes) -> dict[str, Any]:
    """The plan's values with these settings changed. Raises Invalid for a setting that there is not, or a value that it cannot have."""
    made = {part: dict(each) if isinstance(each, dict) else each for part, each in values.items()}
    for name, value in changes.items():
        part, _, setting = name.partition(".")
        if setting not in fields_of(values, part):
            raise Invalid(f"There is no setting '{clip(name)}'.", "Leave it out.", clip(name))
        made[part][setting] = value
    return read_plan(made).model_dump(mode="json")


def fields_of(values: dict[str, Any], part: str) -> dict[str, Any]:
    """The declared settings of a part of this plan, by name."""
    if part == "method":
        method = METHODS.get((values.get("method") or {}).get("name"))
        return dict(method.settings.model_fields) if method else {}
    return dict(PARTS[part].model_fields) if part in PARTS else {}


def in_words(values: dict[str, Any], changes: Changes) -> list[str]:
    """ "Learning rate: 0.02 → 0.002" for each change of this plan."""
    plan: TrainingPlan = read_plan(values)
    said = []
    for name, value in changes.items():
        part, _, setting = name.partition(".")
        before, title = getattr(getattr(plan, part), setting), fields_of(values, part)[setting].title
        said.append(f"{title or setting}: {plainly(before)} → {plainly(value)}")
    return said


def plainly(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "on", False: "off"}[value]
    return number(value) if isinstance(value, float) else clip(value)


def number(value: float) -> str:
    """0.00019 → "1.9e-4", and 6.0 → "6"."""
    mantissa, exponent, power = f"{value:.3g}".partition("e")
    if not exponent and 0 < value < 0.01:
        mantissa, exponent, power = f"{value:.2e}".partition("e")
    return f"{float(mantissa):g}e{int(power)}" if exponent else f"{value:g}"
