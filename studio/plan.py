"""TrainingPlan: everything that decides a training. The form, the API, plan.json and the worker read these declarations."""

import unicodedata
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from studio.errors import Invalid, clip
from studio.methods import METHODS
from studio.training_settings import PlanPart, Resources, TrainingSettings
from studio.wrong_values import first_finding


def clean_name(text: str) -> str:
    """A name as it may be shown: composed (NFC), without control or direction characters, one line."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(c for c in composed if unicodedata.category(c)[0] != "C" or c in "\t\n ").split())


def given_name(text: str) -> str:
    """The name that a person gives to a thing, cleaned. Raises Invalid when nothing is left of it, or too much."""
    name = clean_name(text)
    if not 1 <= len(name) <= 100:
        raise Invalid("A name has 1 to 100 characters that can be seen.", "Choose another.", "name")
    return name


def known_method(value: Any) -> Any:
    """Fill in the method's name where it is left out, and refuse names that there are no methods for."""
    if not isinstance(value, dict):
        return value
    name = value.get("name", DEFAULT_METHOD)
    if not isinstance(name, str) or name not in METHODS:
        raise ValueError(f"there is no method '{clip(name)}', only: {', '.join(METHODS)}")
    return {**value, "name": name}


DEFAULT_METHOD = "lora"
AnyMethod = reduce(or_, (method.settings for method in METHODS.values()))
ByName = (Field(discriminator="name"),) if len(METHODS) > 1 else ()  # pydantic wants a choice to discriminate


class TrainingPlan(PlanPart):
    version: Literal[1] = 1
    name: str = Field(
        "",
        max_length=100,
        title="Name",
        description="How the run and its adapter are called. Empty: named after the data and the base.",
    )
    base_model: str = Field(
        min_length=1, max_length=64, title="Base model", description="Id of the model that is adapted."
    )
    dataset: str = Field(
        min_length=1, max_length=64, title="Data set", description="Id of the data that it learns from."
    )
    dataset_version: int | None = Field(
        None,
        ge=1,
        le=2**31 - 1,
        title="Version of the data",
        description="Empty: the newest when the run is queued; from then on it stays that one.",
    )
    method: Annotated[AnyMethod, *ByName, BeforeValidator(known_method)] = Field(
        default_factory=METHODS[DEFAULT_METHOD].settings
    )
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    resources: Resources = Field(default_factory=Resources)
    tags: list[Annotated[str, Field(min_length=1, max_length=40)]] = Field(
        default_factory=list, max_length=20, title="Tags", description="Words to find the run by."
    )
    notes: str = Field("", max_length=10_000, title="Notes", description="Anything worth remembering of this run.")

    @field_validator("name", mode="after")
    @classmethod
    def shown_name(cls, name: str) -> str:
        return clean_name(name)


def read_plan(values: Any) -> TrainingPlan:
    """A checked plan from JSON-like values. Raises Invalid with the first wrong field, in words."""
    try:
        return TrainingPlan.model_validate(values)
    except ValidationError as error:
        raise invalid_setting(error, TrainingPlan) from None


def invalid_setting(error: ValidationError, kind: Any = None) -> Invalid:
    """The first finding of pydantic as one sentence that names the setting as it is named in the plan. `kind`: what was to be read."""
    return first_finding(error.errors(include_url=False), leave_out=METHODS, kind=kind)
