"""What a suite holds: prompts with what is expected of their answers, checked once when they come in."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from studio.compare_request import MOST_CHARACTERS, Conversation, RequestPart, real_characters
from studio.errors import Invalid, TooLarge
from studio.plan import clean_name
from studio.suite_checks.kinds import Check
from studio.wrong_values import first_finding

MOST_PROMPTS = 1000
MOST_CHECKS = 20  # of one prompt
MOST_BYTES = 8_000_000  # of all prompts of a suite as JSON
SHORT = Annotated[str, Field(max_length=64), AfterValidator(clean_name)]


class SuitePrompt(RequestPart):
    id: SHORT = Field("", title="Id", description="A name of its own within the suite. Empty: its number.")
    messages: Conversation = Field(
        title="Messages", description="The conversation; its last message is the question. Or give text, and system."
    )
    expected: Annotated[str, Field(max_length=MOST_CHARACTERS), AfterValidator(real_characters)] | None = Field(
        None, title="Expected answer", description="What a right answer says. Without checks it must be exactly this."
    )
    checks: list[Check] = Field(
        default_factory=list,
        max_length=MOST_CHECKS,
        title="Checks",
        description="An answer passes when all of them pass.",
    )
    exact: bool = Field(
        True,
        title="Exactly",
        description="Without checks: must an answer be the expected one? If not, it is only shown.",
    )
    topic: SHORT = Field("", title="Topic", description="Prompts of one topic are counted together.")

    @model_validator(mode="before")
    @classmethod
    def from_text(cls, values: Any) -> Any:
        """A prompt may be one text, with instructions or without."""
        if not isinstance(values, dict) or "text" not in values:
            return values
        if "messages" in values:
            raise ValueError("give messages or text, not both")
        rest = {name: value for name, value in values.items() if name not in ("text", "system")}
        system = [{"role": "system", "content": values["system"]}] if values.get("system") else []
        return {**rest, "messages": [*system, {"role": "user", "content": values["text"]}]}

    @property
    def question(self) -> str:
        return self.messages[-1].content

    @property
    def applied(self) -> list[dict[str, Any]]:
        """The checks that decide, as the worker reads them: where there is only an expected answer, that it is given."""
        told = [check.model_dump(mode="json") for check in self.checks]
        return told or ([{"kind": "exact"}] if self.expected is not None and self.exact else [])


_prompts = TypeAdapter(list[SuitePrompt])


def read_prompts(values: Any) -> list[SuitePrompt]:
    """Checked prompts, each with an id of its own. Raises Invalid with the number of the first wrong one, or TooLarge."""
    if isinstance(values, list) and len(values) > MOST_PROMPTS:
        raise TooLarge(
            f"There are {len(values):,} prompts, and a suite holds {MOST_PROMPTS:,} at most.", "Leave some out."
        )
    try:
        prompts = _prompts.validate_python(values)
    except ValidationError as error:
        raise _numbered(error) from None
    if not prompts:
        raise Invalid("A suite needs at least one prompt.", "Write one.", "prompts")
    named = [
        prompt if prompt.id else prompt.model_copy(update={"id": _free(prompts, place)})
        for place, prompt in enumerate(prompts, 1)
    ]
    if len({prompt.id for prompt in named}) < len(named):
        twice = next(
            prompt.id for place, prompt in enumerate(named) if prompt.id in {other.id for other in named[:place]}
        )
        raise Invalid(f"Two prompts have the id '{twice}'.", "Give each one of its own, or none.", "prompts")
    if (size := len(stored_text(named))) > MOST_BYTES:
        raise TooLarge(f"The prompts have {size:,} bytes, and a suite holds {MOST_BYTES:,} at most.", "Leave some out.")
    return named


def _free(prompts: list[SuitePrompt], place: int) -> str:
    """Its number, or where somebody has taken that for a name, its number with a mark."""
    taken = {prompt.id for prompt in prompts}
    return str(place) if str(place) not in taken else f"#{place}"


def _numbered(error: ValidationError) -> Invalid:
    """The first finding, with the prompt's number as people count."""
    finding = error.errors(include_url=False)[0]
    place = finding["loc"][0] if finding["loc"] and isinstance(finding["loc"][0], int) else None
    if place is None:
        return Invalid("The prompts are not a list of objects.", "Send a list of prompts.", "prompts")
    kinds = ("contains", "not_contains", "matches", "json", "length", "exact")
    said = first_finding([{**finding, "loc": finding["loc"][1:] or ("",)}], kinds, SuitePrompt)
    return Invalid(f"Prompt {place + 1}: {said.problem}", said.fix, f"prompts.{place}.{said.field}".rstrip("."))


def stored(prompts: list[SuitePrompt]) -> list[dict[str, Any]]:
    return [prompt.model_dump(mode="json", exclude_defaults=False) for prompt in prompts]


def stored_text(prompts: list[SuitePrompt]) -> bytes:
    return json.dumps(stored(prompts), ensure_ascii=False, sort_keys=True).encode()


def sha256_of(prompts: list[SuitePrompt]) -> str:
    """Two suites with the same prompts and checks have the same."""
    return hashlib.sha256(stored_text(prompts)).hexdigest()
