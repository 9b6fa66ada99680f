"""What is said on the Compare page while the names are shown: who answers, the question to all of them, and the answers as they grow."""

import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from studio import adapters, base_models, compare, compare_request, runs
from studio.compare_request import Column as Asked
from studio.compare_request import CompareRequest, NewWeights, OneColumn, read_request
from studio.errors import Conflict, Invalid, StudioError
from studio.listing import MOST
from studio.pages import parts
from studio.pages.compare.address import columns_in
from studio.pages.compare.conversation import Column, Talk, read_talk
from studio.pages.compare.lineup import BASE, LineUp, Offers, colours_of, column_of, name_of, that_can_answer, who_of
from studio.records import LOCAL_PERSON
from studio.studio import Studio

DRAW_SECONDS = 0.1  # between two drawings of growing answers


def models_in(studio: Studio, query: Mapping[str, str]) -> tuple[str, LineUp, int]:
    """(base model, who answers, how many named columns cannot): as the address says, otherwise the base and its newest adapter."""
    asked = columns_in(query)
    ready = [model.id for model in ready_models(studio)]
    base = next((base for column in asked if (base := base_under(studio, column)) in ready), None)
    base = base or (query.get("model") if query.get("model") in ready else None)
    newest = adapters.list_adapters(studio, base_model=base, limit=1).items
    if asked and base:
        able = that_can_answer(studio, base, asked)
        return base, LineUp(columns=able or [column_of(BASE)]), len(asked) - len(able)
    if newest and not asked:
        return newest[0].base_model, LineUp(columns=[column_of(BASE), column_of(newest[0].id)]), 0
    base = base or next(iter(ready), "")
    return base, LineUp(columns=[column_of(BASE)] if base else []), len(asked)


def base_under(studio: Studio, column: Asked) -> str | None:
    """The base model that this was trained on; None for the base itself and for what is gone."""
    with contextlib.suppress(StudioError):
        if column.checkpoint:
            return runs.get_run(studio, column.checkpoint.run).base_model
        if id := column.mix[0].adapter if column.mix else column.adapter:
            return adapters.get_adapter(studio, id).base_model
    return None


def ready_models(studio: Studio) -> list:
    return [model for model in base_models.list_models(studio, limit=MOST).items if model.state == "ready"]


def fresh(base: str, lineup: LineUp, offers: Offers) -> Talk:
    """An empty conversation with these."""
    columns = [
        Column(who=who_of(column), name=name_of(column, offers)[:300], colour=colour)
        for column, colour in zip(lineup.columns, colours_of(lineup.columns), strict=True)
    ]
    return Talk(base_model=base, columns=columns if base else [])


async def answering(studio: Studio, question: str, held: Talk, lineup: LineUp, *sampled: Any) -> AsyncIterator[str]:
    """Put the question to every column of `held` and let the answers grow there; yields what to say above them.

    Closing it ends the answers.
    """
    if not question.strip():
        raise Invalid("There is no question yet.", "Write one, or press one of the examples.")
    held.ask(question.strip())
    async for message in heard(studio, held, request_of(held, lineup.columns, *sampled)):
        yield message


async def answering_again(studio: Studio, place: str, held: Talk, lineup: LineUp, *sampled: Any) -> AsyncIterator[str]:
    """Have one column answer the last question once more, with the next seed; yields what to say above the columns."""
    if held.blind or held.hidden:
        raise Conflict("What was compared blind stays as it was voted on.", "Turn Blind off, and ask again.")
    column = held.ask_again(place)
    request = request_of(held, lineup.columns, *sampled)
    settings = compare_request.sampling_of(request, request.columns[0])
    seed = (settings["seed"] + column.tries) % 2**31
    request = request.model_copy(update={"columns": [request.columns[0].model_copy(update={"seed": seed})]})
    alike = parts.banner("info", "At temperature 0 the same answer comes again.", "Raise the temperature for others.")
    said = "" if settings["temperature"] else alike
    async for message in heard(studio, held, request):
        yield message or said


async def heard(studio: Studio, held: Talk, request: CompareRequest) -> AsyncIterator[str]:
    """Let the answers grow in `held`; yields what to say above them, when it is time to draw."""
    yield ""
    message, drawn_at = "", 0.0
    async with contextlib.aclosing(compare.stream(studio, request, LOCAL_PERSON)) as events:
        async for event in events:
            if "column" not in event:  # the place in the line is told in the columns
                message = parts.banner("info", event["notice"]) if "notice" in event else ""
            held.hear(event)
            if time.monotonic() - drawn_at >= DRAW_SECONDS or "column" not in event:
                drawn_at = time.monotonic()
                yield message
    held.end()
    yield ""


def request_of(held: Talk, columns: Sequence[Asked], *sampled: Any) -> CompareRequest:
    """What the columns are asked that are to answer now."""
    if not held.columns or len(columns) != len(held.columns):
        raise Invalid("No model is chosen.", "Choose a base model above.")
    asked = [
        columns[place].model_dump(exclude_none=True) | {"messages": _messages(held.columns[place])}
        for place in held.asked
    ]
    values = {"base_model": held.base_model, "messages": asked[0]["messages"], "columns": asked}
    return read_request(values | sampling_of(*sampled))


def _messages(column: Column) -> list[dict]:
    return [message.model_dump() for message in column.messages]


def sampling_of(system: str | None, most: int, temperature: float, top_p: float, seed: int) -> dict:
    """The page's settings as a request takes them."""
    return {
        "system": (system or "").strip() or None,
        "max_new_tokens": int(most),
        "temperature": float(temperature),
        "top_p": float(top_p),
        "seed": int(seed or 0),
    }


async def reweigh(studio: Studio, held: Talk, before: LineUp, after: LineUp) -> None:
    """Give mixes whose answers are being written their new weights, from the next token on. Nothing is done when none is written.

    Nor while the names are hidden: whose answer turns would tell which is the mix.
    """
    if not held.stream or held.hidden:
        return
    pairs = zip(before.columns, after.columns, strict=False)
    for place, (old, new) in enumerate(pairs):
        if place in held.asked and new.mix and old.mix != new.mix:
            change = NewWeights(column=held.asked.index(place), weights=[float(part.weight) for part in new.mix])
            with contextlib.suppress(StudioError):  # its answer has just ended: the next one has them
                await compare.change_weights(studio, held.stream, change, LOCAL_PERSON)


async def stop_one(studio: Studio, held: Talk, place: str) -> None:
    """End the answer of the column at this place; the stream of all of them tells its end."""
    at = next((number for number, asked in enumerate(held.asked) if str(asked) == place), None)
    if at is not None and held.stream and not held.hidden:
        with contextlib.suppress(StudioError):  # it has just ended by itself
            await compare.stop_column(studio, held.stream, OneColumn(column=at), LOCAL_PERSON)


def differing(held: Talk) -> list[tuple[str, list]]:
    """(column's name, its word differences against the base's last answer), the first column's where no base answers."""
    if held.hidden:
        return []
    answered = [column for column in held.columns if column.answer]
    first = next((column for column in answered if column.who == BASE), answered[0] if answered else None)
    return [
        (column.name, compare.word_differences(first.answer, column.answer))
        for column in answered
        if column is not first
    ]


def last_question(said: Any) -> str:
    with contextlib.suppress(StudioError):
        return read_talk(said).last_question
    return ""
