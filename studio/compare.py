"""Compare: the same conversation answered by the base model and by adapters at once, and what came out, kept."""

import asyncio
import contextlib
import difflib
import re
from collections.abc import AsyncIterator
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from studio import adapters, base_models, chat
from studio.errors import Invalid, NotFound, clip
from studio.plan import invalid_setting
from studio.records import LOCAL_PERSON, Adapter, Comparison
from studio.records import BaseModel as BaseModelRecord
from studio.studio import Studio

MOST_COLUMNS = 4
MOST_MESSAGES = 500
MOST_CHARACTERS = 200_000  # of one message
MOST_WORDS = 4000  # of one answer that is compared word for word

Asked = TypeVar("Asked", bound="Sampling")
Id = Annotated[str, Field(min_length=1, max_length=64)]


class RequestPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def real_characters(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a character (a lone surrogate)") from None
    return text


class ChatMessage(RequestPart):
    role: Literal["system", "user", "assistant"]
    content: Annotated[str, Field(max_length=MOST_CHARACTERS), AfterValidator(real_characters)]


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


class Column(RequestPart):
    """One answer: of the base itself, or of an adapter on it."""

    adapter: Id | None = Field(None, description="Id of an adapter; null is the base model itself.")
    messages: Conversation | None = Field(
        None, description="This column's own conversation, when its earlier answers differ."
    )


class Sampling(RequestPart):
    """How tokens are drawn, alike for all columns."""

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


class CompareRequest(Sampling):
    base_model: Id = Field(description="Id of the base model that all columns share.")
    messages: Conversation = Field(description="The conversation so far; its last message is the question.")
    columns: list[Column] = Field(default_factory=lambda: [Column()], min_length=1, max_length=MOST_COLUMNS)
    system: str | None = Field(None, max_length=MOST_CHARACTERS, description="Instructions for all columns.")

    @field_validator("system")
    @classmethod
    def instructions_once(cls, system: str | None, so_far: ValidationInfo) -> str | None:
        conversations = [so_far.data.get("messages"), *(column.messages for column in so_far.data.get("columns", ()))]
        if system and any(messages and messages[0].role == "system" for messages in conversations):
            raise ValueError("the conversation begins with instructions of its own")
        return system and real_characters(system)

    def conversation(self, column: Column) -> list[dict]:
        """What this column is asked, instructions included."""
        messages = [message.model_dump() for message in column.messages or self.messages]
        return [{"role": "system", "content": self.system}, *messages] if self.system else messages


def read_request(values: object, kind: type[Asked] = CompareRequest) -> Asked:
    """A checked request from JSON-like values. Raises Invalid with the first wrong field, in words."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise invalid_setting(error) from None


async def stream(studio: Studio, request: CompareRequest, owner: str = LOCAL_PERSON) -> AsyncIterator[dict]:
    """The events of `answers`; what was answered is kept as a Comparison."""
    kept = nothing_said(len(request.columns))
    try:
        async with contextlib.aclosing(answers(studio, request, owner)) as events:
            async for event in events:
                keep(kept, event)
                yield event
    finally:
        if any(answer["text"] or "proof" in answer for answer in kept):
            await asyncio.shield(asyncio.to_thread(_store, studio, request, owner, kept))


async def answers(studio: Studio, request: CompareRequest, owner: str) -> AsyncIterator[dict]:
    """Events of all columns as they come: {"column", "text"}, {"column", "done": True, ..., "proof"}, {"notice"}.

    Raises StudioError before the first event when the request cannot be answered, and later when the worker fails.
    Closing the iterator cancels what is still being written.
    """
    base, chosen = await asyncio.to_thread(models_of, studio, request.base_model, request.columns, owner)
    question = {
        "do": "answer",
        "columns": [
            {"messages": request.conversation(column), "adapter": adapter and {"id": adapter.id, "name": adapter.name}}
            for column, adapter in zip(request.columns, chosen, strict=True)
        ],
        **request.model_dump(include={"max_new_tokens", "temperature", "top_p", "seed"}),
    }
    async with contextlib.aclosing(chat.answer(studio, base, question)) as events:
        async for event in events:
            yield event


def models_of(
    studio: Studio, base_model: str, columns: list[Column], owner: str
) -> tuple[BaseModelRecord, list[Adapter | None]]:
    """The base and each column's adapter. Raises NotFound, Conflict or Invalid when one cannot answer."""
    base = base_models.ready_model(studio, base_model)
    base_models.require_template(base)
    return base, [
        column.adapter and _adapter(studio, base, column.adapter, owner, index) for index, column in enumerate(columns)
    ]


def _adapter(studio: Studio, base: BaseModelRecord, id: str, owner: str, index: int) -> Adapter:
    adapter = adapters.get_adapter(studio, id)
    if adapter.owner != owner:
        raise NotFound("adapter", id)
    trained_on = base_models.find(studio, adapter.base_model)
    if adapter.base_model != base.id and (trained_on is None or trained_on.fingerprint != base.fingerprint):
        on = f"'{clip(trained_on.name)}'" if trained_on else "a model that is gone"
        raise Invalid(
            f"'{clip(adapter.name)}' was trained on {on} and cannot be put on '{clip(base.name)}'.",
            "Choose adapters of the same base model.",
            f"columns.{index}.adapter",
        )
    return adapter


def nothing_said(columns: int) -> list[dict]:
    """What is kept of each column before its first word."""
    return [{"text": "", "stopped_by": "cancel"} for _ in range(columns)]


def keep(kept: list[dict], event: dict) -> None:
    """Add what an event tells to what is kept of its column."""
    if (column := event.get("column")) is None:
        return
    if "text" in event:
        kept[column]["text"] += event["text"]
    elif event.get("done"):
        kept[column] |= {name: value for name, value in event.items() if name not in ("column", "done")}


def _store(studio: Studio, request: CompareRequest, owner: str, kept: list[dict]) -> None:
    with studio.database.write() as session:
        session.add(
            Comparison(
                owner=owner,
                base_model=request.base_model,
                request=request.model_dump(mode="json"),
                answers={"columns": kept},
            )
        )


def word_differences(base: str, other: str) -> list[tuple[Literal["same", "added", "removed"], str]]:
    """What `other` says differently from `base`: runs of words and marks, with the spaces before them.

    The "same" and "removed" texts join to `base`, the "same" and "added" ones to `other`.
    """
    ours, theirs = _words(base), _words(other)
    found: list[tuple[str, str]] = []
    for kind, start, end, other_start, other_end in difflib.SequenceMatcher(
        None, ours, theirs, autojunk=False
    ).get_opcodes():
        removed, added = "".join(ours[start:end]), "".join(theirs[other_start:other_end])
        if kind == "equal":
            found.append(("same", removed))
        else:
            found += [(side, text) for side, text in (("removed", removed), ("added", added)) if text]
    return found


def _words(text: str) -> list[str]:
    """Words and marks in order, each with the space before it; what is beyond the limit is one piece."""
    words = re.findall(r"\s*(?:\w+|[^\w\s])|\s+", text)
    return words[:MOST_WORDS] + (["".join(words[MOST_WORDS:])] if len(words) > MOST_WORDS else [])
