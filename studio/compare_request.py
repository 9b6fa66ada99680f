"""What a comparison is asked: a conversation, and columns that answer it, each the base, an adapter, a mix or a checkpoint."""

from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from studio.lab_settings import Parent
from studio.plan import invalid_setting

MOST_COLUMNS = 4
MOST_MIXED = 8
MOST_MESSAGES = 500
MOST_CHARACTERS = 200_000  # of one message

Asked = TypeVar("Asked", bound=BaseModel)
Id = Annotated[str, Field(min_length=1, max_length=64)]


class RequestPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def real_characters(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a character (a lone surrogate)") from None
    return text


Text = Annotated[str, Field(max_length=MOST_CHARACTERS), AfterValidator(real_characters)]


class ChatMessage(RequestPart):
    role: Literal["system", "user", "assistant"]
    content: Text


def asks_something(messages: list[ChatMessage]) -> list[ChatMessage]:
    if messages[-1].role != "user":
        raise ValueError("the last message must be the user's")
    if not messages[-1].content.strip():
        raise ValueError("the last message is empty")
    if any(message.role == "system" for message in messages[1:]):
        raise ValueError("only the first message can be a system message")
    return messages


Conversation = Annotated[
    list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES), AfterValidator(asks_something)
]


class Sampling(RequestPart):
    """How tokens are drawn, alike for all columns that do not say it themselves."""

    max_new_tokens: int = Field(
        200, ge=1, le=8192, title="Longest answer", description="Tokens after which an answer is cut."
    )
    temperature: float = Field(
        0.0, ge=0, le=2, title="Temperature", description="0 gives the likeliest answer; more is more surprising."
    )
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        title="Top-p",
        description="Only the likeliest tokens that together reach this probability are drawn from.",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title="Seed", description="The same seed draws the same answer, alone or beside others."
    )

    @field_validator("temperature", "top_p", mode="before")
    @classmethod
    def no_truth_values(cls, value):
        if isinstance(value, bool):  # strict floats still take True as 1.0
            raise ValueError("must be a number")
        return value


def _if_given(setting: FieldInfo) -> tuple:
    """The same setting for one column, where leaving it out takes that of all columns."""
    said = Field(None, title=setting.title, description=f"{setting.description} Left out: as all columns.")
    return Annotated[setting.annotation, *setting.metadata] | None, said


OwnSampling = create_model(
    "OwnSampling",
    __base__=RequestPart,
    __validators__={
        "no_truth_values": field_validator("temperature", "top_p", mode="before")(
            Sampling.no_truth_values.__func__  # the same check
        )
    },
    **{name: _if_given(setting) for name, setting in Sampling.model_fields.items()},
)
"""Sampling for one column, every setting optional."""


class Mixed(Parent):
    """One adapter of a mix, named and weighed as a parent of a saved stack is."""

    @field_validator("weight", mode="before")
    @classmethod
    def no_truth_values(cls, value):
        return Sampling.no_truth_values(value)


class CheckpointOf(RequestPart):
    """What a training, running or ended, had learned when it saved a checkpoint."""

    run: Id = Field(description="Id of a run.")
    step: int = Field(ge=1, le=2**31 - 1, description="The step of a checkpoint that the run keeps.")


def all_different(parts: list[Mixed]) -> list[Mixed]:
    if len({part.adapter for part in parts}) < len(parts):
        raise ValueError("names an adapter twice: name it once, with the sum of its weights")
    return parts


Mix = Annotated[list[Mixed], Field(min_length=2, max_length=MOST_MIXED), AfterValidator(all_different)]


class Answering(RequestPart):
    """Who answers: an adapter, or a mix of several, or a checkpoint; the base itself where none is named."""

    adapter: Id | None = Field(None, description="Id of an adapter.")
    mix: Mix | None = Field(
        None, description="Several adapters of one base: base + the sum of weight times what each adds."
    )
    checkpoint: CheckpointOf | None = Field(None, description="A checkpoint of a run.")

    @model_validator(mode="after")
    def only_one(self):
        named = [name for name in ("adapter", "mix", "checkpoint") if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"name {' and '.join(named)}: one column is answered by one of them")
        return self


class Column(Answering, OwnSampling):
    """One answer: who gives it, and what it is asked in place of what all columns are."""

    messages: Conversation | None = Field(
        None, description="This column's own conversation, when its earlier answers differ."
    )
    system: Text | None = Field(
        None, description="This column's own instructions. Left out: as all columns. Empty: none."
    )


class CompareRequest(Sampling):
    base_model: Id = Field(description="Id of the base model that all columns share.")
    messages: Conversation = Field(description="The conversation so far; its last message is the question.")
    columns: list[Column] = Field(default_factory=lambda: [Column()], min_length=1, max_length=MOST_COLUMNS)
    system: Text | None = Field(None, description="Instructions for all columns.")

    @field_validator("columns")
    @classmethod
    def own_instructions_once(cls, columns: list[Column], so_far: ValidationInfo) -> list[Column]:
        for number, column in enumerate(columns):
            messages = column.messages or so_far.data.get("messages")
            if column.system and messages and messages[0].role == "system":
                raise ValueError(f"column {number} has instructions, and its conversation begins with some of its own")
        return columns

    @field_validator("system")
    @classmethod
    def instructions_once(cls, system: str | None, so_far: ValidationInfo) -> str | None:
        conversations = [so_far.data.get("messages"), *(column.messages for column in so_far.data.get("columns", ()))]
        if system and any(messages and messages[0].role == "system" for messages in conversations):
            raise ValueError("the conversation begins with instructions of its own")
        return system

    def conversation(self, column: Column) -> list[dict]:
        """What this column is asked, instructions included."""
        messages = [message.model_dump() for message in column.messages or self.messages]
        system = self.system if column.system is None else column.system
        return [{"role": "system", "content": system}, *messages] if system else messages


def sampling_of(all_columns: Sampling, column: Column) -> dict:
    """How this column's tokens are drawn: as it says itself, else as all."""
    own = {name: getattr(column, name) for name in Sampling.model_fields}
    return {name: getattr(all_columns, name) if value is None else value for name, value in own.items()}


class OneColumn(RequestPart):
    """A column whose answer is being written."""

    column: int = Field(ge=0, lt=MOST_COLUMNS, description="Which column: 0 is the first.")


class NewWeights(OneColumn):
    """Other weights for a mix whose answer is being written."""

    weights: list[Annotated[float, *Mixed.model_fields["weight"].metadata]] = Field(
        min_length=2, max_length=MOST_MIXED, description="One for each adapter of the mix, in its order."
    )

    @field_validator("weights", mode="before")
    @classmethod
    def no_truth_values(cls, values):
        return [Sampling.no_truth_values(value) for value in values] if isinstance(values, list) else values


def read_request(values: object, kind: type[Asked] = CompareRequest) -> Asked:
    """A checked request from JSON-like values. Raises Invalid with the first wrong field, in words."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise invalid_setting(error, kind) from None
