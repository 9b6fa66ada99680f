"""The checks that a prompt may name, each with its settings: read by form, API, stored suites and the worker."""

from typing import Annotated, Any, Literal

import regex
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from studio.suite_checks.json_schema import check_schema
from studio.suite_checks.patterns import LONGEST_PATTERN, compiled

MOST_LETTERS = 10_000  # of a text that a check looks for


def real_characters(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a character (a lone surrogate)") from None
    return text


def usable_pattern(pattern: str) -> str:
    try:
        compiled(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is no regular expression ({str(error)[:200]})") from None
    return pattern


Text = Annotated[str, Field(min_length=1, max_length=MOST_LETTERS), AfterValidator(real_characters)]
Pattern = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_PATTERN),
    AfterValidator(real_characters),
    AfterValidator(usable_pattern),
]


class CheckPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Contains(CheckPart):
    kind: Literal["contains"] = "contains"
    text: Text = Field(title="Contains", description="A text that must be in the answer.")
    ignore_case: bool = Field(True, title="Ignore case", description="Whether A and a are alike.")


class ContainsNot(CheckPart):
    kind: Literal["not_contains"] = "not_contains"
    text: Text = Field(title="Does not contain", description="A text that must not be in the answer.")
    ignore_case: bool = Field(True, title="Ignore case", description="Whether A and a are alike.")


class Matches(CheckPart):
    kind: Literal["matches"] = "matches"
    pattern: Pattern = Field(title="Matches", description="A regular expression that is found somewhere in the answer.")
    ignore_case: bool = Field(False, title="Ignore case", description="Whether A and a are alike.")


class IsJson(CheckPart):
    kind: Literal["json"] = "json"
    # A field of this name would hide pydantic's own; it is "schema" everywhere outside of this class.
    wanted: Annotated[dict[str, Any] | None, AfterValidator(check_schema)] = Field(
        None,
        alias="schema",
        title="JSON",
        description="A JSON Schema (2020-12) that the answer must keep; none: any JSON.",
    )
    model_config = ConfigDict(serialize_by_alias=True)


class Length(CheckPart):
    kind: Literal["length"] = "length"
    unit: Literal["characters", "words", "tokens"] = Field("words", title="Unit", description="What is counted.")
    least: int | None = Field(None, ge=0, le=1_000_000, title="At least", description="Shorter answers fail.")
    most: int | None = Field(None, ge=0, le=1_000_000, title="At most", description="Longer answers fail.")

    @model_validator(mode="after")
    def limits_something(self) -> "Length":
        if self.least is None and self.most is None:
            raise ValueError("needs a least or a most length")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError("allows nothing: the least is above the most")
        return self


class Exact(CheckPart):
    kind: Literal["exact"] = "exact"
    normalised: bool = Field(
        True, title="Normalised", description="Whether case, spaces and marks at the ends are looked over."
    )


Check = Annotated[Contains | ContainsNot | Matches | IsJson | Length | Exact, Field(discriminator="kind")]
