"""A verdict as it is read back: from a run's folder, or from a passport that anybody may have written."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studio.verdict.judgement import Word

Words = Annotated[str, Field(max_length=20_000)]
Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Loss(Part):
    base: float
    adapter: float
    change: float
    low: float | None = None
    high: float | None = None


class Perplexity(Part):
    base: float
    adapter: float


class Margin(Part):
    mean: float
    low: float | None = None
    high: float | None = None


class Improved(Part):
    count: float
    share: float
    low: float
    high: float


class Example(Part):
    row: Count
    kind: Words
    asked: Words
    expected: Words
    base: Words
    adapter: Words
    base_loss: float | None = None
    adapter_loss: float | None = None


class Told(Part):
    """What is drawn of a verdict; empty parts are those that were not measured."""

    word: Word
    title: Words
    sentences: list[Words] = []
    objective: Words = "answers"
    unit: Words = "row"
    rows: Count = 0
    step: Count = 0
    keep_step: Count | None = None
    overfitted_after: Count | None = None
    loss: Loss | dict[str, None] = {}
    perplexity: Perplexity | dict[str, None] = {}
    margin: Margin | dict[str, None] = {}
    improved: Improved | dict[str, None] = {}
    problem: Words | None = None
    done: bool = True
    asked: Count = 0
    answered: Count = 0
    examples: list[Example] = []


def told(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The verdict that these values are; None where they are none."""
    try:
        return Told.model_validate(dict(values)).model_dump() if values else None
    except ValidationError:
        return None
