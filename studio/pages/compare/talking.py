"""What is said on the Compare page: who answers, the question to all of them, and the answers as they grow."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from studio import adapters, base_models, compare, compare_request
from studio.errors import Conflict, Invalid, StudioError
from studio.listing import MOST
from studio.pages import parts
from studio.pages.compare.conversation import Column, Talk, read_talk
from studio.records import LOCAL_PERSON
from studio.studio import Studio

MOST_ADAPTERS = 3
DRAW_SECONDS = 0.1  # between two drawings of growing answers


def models_in(studio: Studio, query: dict[str, str]) -> tuple[str, list[str]]:
    """(base model, adapters) that the page's address names; the newest adapter on its base when it names none."""
    asked = [query[name] for name in "abc" if query.get(name)]
    known = [adapter for id in asked if (adapter := _found(studio, id))]
    if known:
        return known[0].base_model, [adapter.id for adapter in known if adapter.base_model == known[0].base_model]
    ready = [model.id for model in ready_models(studio)]
    base = query.get("model") if query.get("model") in ready else None
    newest = adapters.list_adapters(studio, base_model=base, limit=1).items
    if newest and not asked:
        return newest[0].base_model, [newest[0].id]
    return base or next(iter(ready), ""), []


def _found(studio: Studio, id: str):
    with contextlib.suppress(StudioError):
        return adapters.get_adapter(studio, id)
    return None


def ready_models(studio: Studio) -> list:
    return [model for model in base_models.list_models(studio, limit=MOST).items if model.state == "ready"]


def fresh(studio: Studio, base: str, ids: list[str]) -> Talk:
    """An empty conversation: the base, then these adapters of it."""
    if not base:
        return Talk()
    columns = [Column(name=f"{base_models.get_model(studio, base).name} (base)")]
    columns += [
        Column(adapter=id, name=adapters.get_adapter(studio, id).name, colour=place)
        for place, id in enumerate((ids or [])[:MOST_ADAPTERS], 1)
    ]
    return Talk(base_model=base, columns=columns)


async def answering(studio: Studio, question: str, held: Talk, *sampled: Any) -> AsyncIterator[str]:
    """Put the question to every column of `held` and let the answers grow there; yields what to say above them.

    Closing it ends the answers.
    """
    if not question.strip():
        raise Invalid("There is no question yet.", "Write one, or press one of the examples.")
    held.ask(question.strip())
    request = request_of(held, *sampled)
    yield ""
    message, drawn_at = "", 0.0
    async with contextlib.aclosing(compare.stream(studio, request, LOCAL_PERSON)) as events:
        async for event in events:
            message = parts.banner("info", event["notice"]) if "notice" in event else ""
            held.hear(event)
            if time.monotonic() - drawn_at >= DRAW_SECONDS:
                drawn_at = time.monotonic()
                yield message
    held.end()


def request_of(held: Talk, *sampled: Any) -> compare_request.CompareRequest:
    columns = [_asked(column) for column in held.columns]
    if not columns:
        raise Invalid("No base model is chosen.", "Choose one above.")
    values = {"base_model": held.base_model, "messages": columns[0]["messages"], "columns": columns}
    return compare_request.read_request(values | sampling_of(*sampled))


def _asked(column: Column) -> dict:
    return {"adapter": column.adapter, "messages": [message.model_dump() for message in column.messages]}


def sampling_of(system: str | None, most: int, temperature: float, top_p: float, seed: int) -> dict:
    """The page's settings as a request takes them."""
    return {
        "system": (system or "").strip() or None,
        "max_new_tokens": int(most),
        "temperature": float(temperature),
        "top_p": float(top_p),
        "seed": int(seed or 0),
    }


async def answering_again(studio: Studio, place: str, held: Talk, *sampled: Any) -> AsyncIterator[str]:
    """Have one column answer the last question once more, with the next seed; yields what to say above the columns."""
    if held.blind or held.hidden:
        raise Conflict("What was compared blind stays as it was voted on.", "Turn Blind off, and ask again.")
    column = held.ask_again(place)
    settings = sampling_of(*sampled)
    settings["seed"] = (settings["seed"] + column.tries) % 2**31
    asked = _asked(column)
    values = {"base_model": held.base_model, "messages": asked["messages"], "columns": [asked], **settings}
    alike = parts.banner("info", "At temperature 0 the same answer comes again.", "Raise the temperature for others.")
    message = "" if settings["temperature"] else alike
    yield message
    drawn_at = 0.0
    async with contextlib.aclosing(
        compare.stream(studio, compare_request.read_request(values), LOCAL_PERSON)
    ) as events:
        async for event in events:
            held.hear(event | {"column": held.columns.index(column)} if "column" in event else event)
            if time.monotonic() - drawn_at >= DRAW_SECONDS:
                drawn_at = time.monotonic()
                yield message


def differing(held: Talk) -> list[tuple[str, list]]:
    base = next((column for column in held.columns if column.adapter is None and column.answer), None)
    if held.hidden or base is None:
        return []
    return [
        (column.name, compare.word_differences(base.answer, column.answer))
        for column in held.columns
        if column is not base and column.answer
    ]


def last_question(said: Any) -> str:
    with contextlib.suppress(StudioError):
        return read_talk(said).last_question
    return ""
