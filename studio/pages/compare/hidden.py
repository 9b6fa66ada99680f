"""The Compare page while the names are hidden: a conversation that this page knows by its id alone, the vote, and who was who."""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from studio import blind, votes
from studio.adapters import get_adapter
from studio.compare_request import read_request
from studio.errors import Conflict, Invalid, StudioError
from studio.pages import parts
from studio.pages.compare.conversation import Column, Message, Talk
from studio.pages.compare.talking import DRAW_SECONDS, MOST_ADAPTERS, sampling_of
from studio.pages.votes_view import line
from studio.studio import Studio
from studio.vote_results import against_base


def fresh(base: str, ids: list[str]) -> Talk:
    """Letters for as many columns as there are models; which is which is drawn when the first question is asked."""
    return Talk(hidden=True, columns=lettered(1 + len((ids or [])[:MOST_ADAPTERS])) if base else [])


def lettered(count: int) -> list[Column]:
    return [Column(name=f"Answer {letter}") for letter in blind.LETTERS[:count]]


def opened(studio: Studio, id: str, base: str, ids: list[str], sampled: list) -> Talk | None:
    """The comparison that the address names, if these models answer in it with these settings and this person may see it."""
    with contextlib.suppress(StudioError):
        asked = request_of(base, ids, *sampled)
        if blind.is_of(studio, id, asked):
            return talk_of(blind.view(studio, id), ids)
    return None


def talk_of(view: dict, ids: Sequence[str] = ()) -> Talk:
    """What blind.view tells, as columns; adapters in the colours that they have in the list of `ids`."""
    revealed = {model["answer"]: model for model in view.get("models", ())}
    columns = []
    for place, letter in enumerate(view["answers"]):
        model = revealed.get(letter)
        column = Column(
            adapter=model and model["adapter"],
            name=f"{letter} · {model['name']}" if model else f"Answer {letter}",
            colour=1 + list(ids).index(model["adapter"]) if model and model["adapter"] in ids else 0,
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


def request_of(base: str, ids: list[str], *sampled: Any) -> blind.BlindRequest:
    if not base or not ids:
        raise Invalid("There is nothing to compare blind yet.", "Choose a base model and at least one adapter above.")
    columns = [{"adapter": None}, *({"adapter": id} for id in ids[:MOST_ADAPTERS])]
    return read_request({"base_model": base, "columns": columns, **sampling_of(*sampled)}, blind.BlindRequest)


async def answering(
    studio: Studio, question: str, held: Talk, base: str, ids: list[str], *sampled: Any
) -> AsyncIterator[str]:
    """Put the question to every hidden column and let the answers grow in step; yields what to say above them."""
    if not question.strip():
        raise Invalid("There is no question yet.", "Write one, or press one of the examples.")
    begin(studio, held, request_of(base, ids, *sampled))
    held.ask(question.strip())
    yield ""
    message, drawn_at = "", 0.0
    async with contextlib.aclosing(blind.ask(studio, held.blind, question.strip())) as events:
        async for event in events:
            message = parts.banner("info", event["notice"]) if "notice" in event else message
            held.hear(event)
            if "ended" in event:
                held.finish()
            elif time.monotonic() - drawn_at >= DRAW_SECONDS:
                drawn_at = time.monotonic()
                yield message


def begin(studio: Studio, held: Talk, request: blind.BlindRequest) -> None:
    """Make `held` a comparison that can be asked in: the one that is open, otherwise a new one with its columns shuffled."""
    if held.hidden and held.blind:
        if blind.is_of(studio, held.blind, request):
            return
        if held.questions:
            raise Conflict(
                "The settings have changed since this comparison began.", "Vote first, or press Clear to begin anew."
            )
    begun = talk_of(blind.view(studio, blind.create(studio, request).id))
    held.base_model, held.blind, held.hidden, held.columns = "", begun.blind, True, begun.columns


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


def vote(studio: Studio, held: Talk, choice: str, ids: list[str]) -> Talk:
    """Cast the vote and show the names."""
    if not (held.hidden and held.blind):
        raise Conflict("There is nothing to vote on.", "Turn on Blind and ask a question.")
    votes.cast(studio, held.blind, choice)
    return talk_of(votes.reveal(studio, held.blind), ids or ())


def standing(studio: Studio, talk: Talk) -> list[tuple[str, str]]:
    """(name, sentence) of each adapter that stood against the base: how the votes are by now."""
    if not any(column.adapter is None for column in talk.columns):
        return []
    known = []
    for column in talk.columns:
        with contextlib.suppress(StudioError):  # it may have been deleted while it was voted on
            if column.adapter and (said := line(against_base(studio, get_adapter(studio, column.adapter)))):
                known.append((column.name.partition(" · ")[2], said))
    return known
