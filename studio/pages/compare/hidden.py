"""The Compare page while the names are hidden: a conversation that this page knows by its id alone, the vote, and who was who."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from studio import blind, votes
from studio.adapters import get_adapter
from studio.compare_request import Answering, read_request
from studio.errors import Conflict, Invalid, StudioError
from studio.pages import parts
from studio.pages.compare.conversation import Column, Message, Talk
from studio.pages.compare.lineup import BASE, LineUp, colours_of
from studio.pages.compare.talking import DRAW_SECONDS, sampling_of
from studio.pages.votes_view import line
from studio.studio import Studio
from studio.vote_results import against_base


def fresh(lineup: LineUp) -> Talk:
    """Letters for as many columns as there are models; which is which is drawn when the first question is asked."""
    return Talk(hidden=True, columns=lettered(len(lineup.columns)))


def lettered(count: int) -> list[Column]:
    return [Column(name=f"Answer {letter}") for letter in blind.LETTERS[:count]]


def opened(studio: Studio, id: str, base: str, lineup: LineUp, sampled: list) -> Talk | None:
    """The comparison that the address names, if these models answer in it with these settings and this person may see it."""
    with contextlib.suppress(StudioError):
        asked = request_of(base, lineup, *sampled)
        if blind.is_of(studio, id, asked):
            return talk_of(blind.view(studio, id), lineup)
    return None


def talk_of(view: dict, lineup: LineUp) -> Talk:
    """What blind.view tells, as columns; models in the colours that they have in the line-up."""
    revealed = {model["answer"]: model for model in view.get("models", ())}
    known = [blind.key_of(column.model_dump()) for column in lineup.columns]
    colours = dict(zip(known, colours_of(lineup.columns), strict=True))
    columns = []
    for place, letter in enumerate(view["answers"]):
        model = revealed.get(letter)
        key = blind.key_of(model) if model else ""
        column = Column(
            who=key,
            name=f"{letter} · {model['name']}" if model else f"Answer {letter}",
            colour=colours.get(key, 0),
            messages=[message for turn in view["turns"] for message in _messages(turn, place)],
        )
        if view["turns"]:
            column.done = _done(view, place)
        columns.append(column)
    return Talk(base_model=view.get("base_model", ""), blind=view["id"], hidden=not revealed, columns=columns)


def _messages(turn: dict, place: int) -> list[Message]:
    asked = [Message(role="user", content=turn["question"])]
    return asked + [Message(role="assistant", content=answer["text"]) for answer in turn["answers"][place : place + 1]]


def _done(view: dict, place: int) -> dict:
    """How the last answer ended; its numbers and proof are in the view only when the names are."""
    if view["state"] == "revealed":
        return {name: value for name, value in view["turns"][-1]["answers"][place].items() if name != "text"}
    return {"stopped_by": "cancel" if view["state"] in ("stopped", "writing") else "end"}


def request_of(base: str, lineup: LineUp, *sampled: Any) -> blind.BlindRequest:
    """Who takes part, and how all of them answer: what a column has of its own is left out, as it would tell which it is."""
    if not base or len(lineup.columns) < 2:
        raise Invalid("There is nothing to compare blind yet.", "Choose a base model and at least two columns above.")
    columns = [column.model_dump(include=set(Answering.model_fields)) for column in lineup.columns]
    return read_request({"base_model": base, "columns": columns, **sampling_of(*sampled)}, blind.BlindRequest)


async def answering(
    studio: Studio, question: str, held: Talk, lineup: LineUp, base: str, *sampled: Any
) -> AsyncIterator[str]:
    """Put the question to every hidden column and let the answers grow in step; yields what to say above them."""
    if not question.strip():
        raise Invalid("There is no question yet.", "Write one, or press one of the examples.")
    begin(studio, held, lineup, request_of(base, lineup, *sampled))
    held.ask(question.strip())
    yield ""
    message, drawn_at = "", 0.0
    async with contextlib.aclosing(blind.ask(studio, held.blind, question.strip())) as events:
        async for event in events:
            message = parts.banner("info", event["notice"]) if "notice" in event else message
            held.hear(event)
            if "ended" in event:
                held.finish()
            elif time.monotonic() - drawn_at >= DRAW_SECONDS or "position" in event:
                drawn_at = time.monotonic()
                yield message


def begin(studio: Studio, held: Talk, lineup: LineUp, request: blind.BlindRequest) -> None:
    """Make `held` a comparison that can be asked in: the one that is open, otherwise a new one with its columns shuffled."""
    if held.hidden and held.blind:
        if blind.is_of(studio, held.blind, request):
            if held.editing is not None:
                blind.take_back(studio, held.blind, keep=held.editing)
            return
        if held.questions:
            raise Conflict(
                "The settings have changed since this comparison began.", "Vote first, or press Clear to begin anew."
            )
    begun = talk_of(blind.view(studio, blind.create(studio, request).id), lineup)
    held.base_model, held.blind, held.hidden, held.columns, held.editing = "", begun.blind, True, begun.columns, None


def take_back(studio: Studio, held: Talk) -> str:
    """Forget the last question in the page and in the comparison; the order of the columns stays. Returns the question.

    What has been voted on stays as it is: then a new comparison is to begin.
    """
    question = held.take_back()
    if held.blind and held.hidden:
        blind.take_back(studio, held.blind, keep=held.questions)
    elif held.blind:
        held.blind, held.hidden, held.columns = "", True, lettered(len(held.columns))
    return question


def vote(studio: Studio, held: Talk, choice: str, lineup: LineUp) -> Talk:
    """Cast the vote and show the names."""
    if not (held.hidden and held.blind):
        raise Conflict("There is nothing to vote on.", "Turn on Blind and ask a question.")
    votes.cast(studio, held.blind, choice)
    return talk_of(votes.reveal(studio, held.blind), lineup)


def standing(studio: Studio, talk: Talk) -> list[tuple[str, str]]:
    """(name, sentence) of each adapter that stood against the base: how the votes are by now."""
    if not any(column.who == BASE for column in talk.columns):
        return []
    known = []
    for column in talk.columns:
        with contextlib.suppress(StudioError):  # it may have been deleted while it was voted on
            if column.who.isalnum() and column.who != BASE:
                adapter = get_adapter(studio, column.who)
                if said := line(against_base(studio, adapter)):
                    known.append((column.name.partition(" · ")[2], said))
    return known
